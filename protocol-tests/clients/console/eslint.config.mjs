// What the type checker does not see in the console's modules. Above all: nothing there may read HTML, as what it shows comes
// from strangers.
const HTML = ["innerHTML", "outerHTML", "insertAdjacentHTML", "createContextualFragment", "setHTMLUnsafe", "write", "writeln"];

export default [{
  files: ["**/*.mjs"],
  languageOptions: { ecmaVersion: "latest", sourceType: "module" },
  linterOptions: { reportUnusedDisableDirectives: "error" },
  rules: {
    "array-callback-return": "error",
    "consistent-return": "off",
    "eqeqeq": "error",
    "no-constructor-return": "error",
    "no-dupe-keys": "error",
    "no-duplicate-imports": "error",
    "no-eval": "error",
    "no-implied-eval": "error",
    "no-new-func": "error",
    "no-promise-executor-return": "off",
    "no-restricted-globals": ["error", "DOMParser", "eval"],
    "no-restricted-properties": ["error", ...HTML.map((property) => ({ property, message: "Use h() and textContent." }))],
    "no-self-compare": "error",
    "no-shadow": ["error", { hoist: "functions" }],
    "no-unreachable": "error",
    "no-unused-vars": "error",
    "no-useless-return": "error",
    "no-var": "error",
    "object-shorthand": "error",
    "prefer-const": ["error", { destructuring: "all" }],
    "prefer-template": "error",
  },
}];
