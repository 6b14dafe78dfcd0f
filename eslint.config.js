import tseslint from "typescript-eslint";

const ambient = "Take it through a port: the same events have to give the same state everywhere.";

// Whatever reads the time, makes chance, waits, or reaches the process that runs the code.
const ambientGlobals = [
  "Date",
  "performance",
  "setTimeout",
  "setInterval",
  "setImmediate",
  "queueMicrotask",
  "crypto",
  "fetch",
  "process",
  "console",
  "globalThis",
];

const testCode = [
  "**/*.test.ts",
  "**/*.bench.ts",
  "**/{test,testing,bench,interop,fixtures}/**/*.ts",
];

// What STYLE demands of every file; layers are checked by checks/import-rules.cjs, and
// checks/gates.test.ts shows the restrictions below red.
export default tseslint.config(
  {
    ignores: [
      "**/node_modules/**",
      "**/dist/**",
      "contracts/out/**",
      "contracts/cache/**",
      "**/generated/**",
      "contracts/src/abi.ts",
      "contracts/src/bytecode.ts",
      "install/**",
      "**/*.cjs",
      "**/*.mjs",
    ],
  },
  ...tseslint.configs.strictTypeChecked.map((config) => ({ ...config, files: ["**/*.ts"] })),
  {
    files: ["**/*.ts"],
    languageOptions: {
      parserOptions: { project: ["tsconfig.lint.json"], tsconfigRootDir: import.meta.dirname },
    },
    rules: {
      "max-lines-per-function": ["error", { max: 70, skipBlankLines: true, skipComments: true }],
      "max-lines": ["error", { max: 500, skipBlankLines: true, skipComments: true }],
      "no-console": "error",
      "no-restricted-syntax": [
        "error",
        { selector: "TSEnumDeclaration", message: "Use a string union or `as const`." },
        { selector: "ExportDefaultDeclaration", message: "Name what a file exports." },
      ],
      "@typescript-eslint/no-unused-vars": [
        "error",
        { argsIgnorePattern: "^_", ignoreRestSiblings: true },
      ],
      "@typescript-eslint/restrict-template-expressions": [
        "error",
        {
          allowNumber: true,
          allowBoolean: true,
          allow: [
            { from: "lib", name: ["Error", "URL", "URLSearchParams"] },
            { from: "package", name: "CID", package: "multiformats" },
          ],
        },
      ],
      // Unions of a bigint or a hex type with undefined read better than a non-null dance.
      "@typescript-eslint/no-unnecessary-condition": "off",
      "@typescript-eslint/no-confusing-void-expression": [
        "error",
        { ignoreArrowShorthand: true, ignoreVoidReturningFunctions: true },
      ],
      "@typescript-eslint/unified-signatures": "off",
      "@typescript-eslint/require-await": "off",
    },
  },
  {
    files: ["protocol/src/**/*.ts", "router/src/core/**/*.ts"],
    ignores: testCode,
    rules: {
      "no-restricted-globals": [
        "error",
        ...ambientGlobals.map((name) => ({ name, message: ambient })),
      ],
      "no-restricted-properties": [
        "error",
        { object: "Math", property: "random", message: ambient },
      ],
    },
  },
  {
    // Their output is what they are for.
    files: ["checks/**/*.ts", "**/bench/**/*.ts", "**/scripts/**/*.ts", "**/*.bench.ts"],
    rules: { "no-console": "off" },
  },
  {
    // A test's `describe` and `it` return promises that the runner itself awaits.
    files: testCode,
    rules: {
      "@typescript-eslint/no-floating-promises": "off",
      "max-lines-per-function": "off",
      "@typescript-eslint/no-non-null-assertion": "off",
    },
  },
);
