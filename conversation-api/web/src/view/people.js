// How people are named and shown.

const ROLES = {
  admin: "Admin",
  operation_manager: "Operations",
  manager: "Manager",
  account_manager: "Supervisor",
  agent: "Agent",
};

export const roleName = (role) => ROLES[role] ?? role;

/** The first letters of the first and the last word. */
export function initials(name) {
  const words = name.trim().split(/\s+/);
  const ends = words.length > 1 ? [words[0], words.at(-1)] : words;
  return ends.map((word) => [...word][0] ?? "").join("").toUpperCase();
}

/** One of six colours, always the same for a name. */
export function hueOf(name) {
  let sum = 0;
  for (const letter of name) sum = (sum * 31 + letter.codePointAt(0)) % 9973;
  return sum % 6;
}

/** `491701000001` as `+49 170 1000001`. */
export const phoneNumber = (digits) => digits.replace(/^(\d{2})(\d{3})(\d+)$/, "+$1 $2 $3");

/** A word for one thing or several. */
export const plural = (number, one, many) => `${number} ${number === 1 ? one : many}`;

/** "Ana", "Ana and Sol", "Ana, Sol and Ada". */
export function sentenceOf(names) {
  return names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}
