// Assertions that work under Node and in a page.

/** Fails the scenario unless `condition` holds. */
export function ok(condition, what) {
  if (!condition) throw new Error(what);
}

/** Fails the scenario unless both are the same JSON, whatever the order of their members. */
export function equal(actual, expected, what) {
  const [left, right] = [canonical(actual), canonical(expected)];
  if (left !== right) throw new Error(`${what}: expected ${right}, got ${left}`);
}

function canonical(value) {
  return JSON.stringify(value, (_, inner) =>
    isPlainObject(inner) ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1))) : inner,
  );
}

function isPlainObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
