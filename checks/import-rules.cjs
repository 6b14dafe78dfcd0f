// The architecture as rules: what may import what. dependency-cruiser reads this file
// (`npm run check:imports`), and checks/gates.test.ts shows each rule red on a planted violation.

// From left to right; a workspace imports only from the ones left of it, and those that share
// a place may not import each other. Workspaces that do not exist yet already have theirs.
const layers = [
  ["contracts"],
  ["protocol"],
  ["platform"],
  ["registry"],
  ["router", "provider", "client"],
  ["agent", "dashboard"],
  ["devnet", "simulation"],
];
const workspaces = layers.flat();

// Tests and benches, and what only they use, may reach for tools that the product may not.
const testCode = "[.](test|bench)[.]ts$|/(test|testing|test-support|bench|interop|fixtures)/";
const product = `^(${workspaces.join("|")})/src/`;

// Where a process, a thread or an importer enters a workspace.
// An engine is loaded by its URL, in a process of its own.
const entries =
  "/src/(index|main|cli|inference/index|chain/index)[.]ts$|-(worker|process|main)[.]ts$" +
  "|/src/engine/(llama|onnx)-engine[.]ts$";

// The only packages that pure code may use.
const hashPackages = ["node_modules/(canonicalize|hash-wasm)/"];
// An import that leads nowhere keeps its relative form; `imports-resolve` names it.
const unresolved = "^[.](?!.*node_modules)";

const alternatives = (names) => `^(${names.join("|")})/`;

// One rule a workspace, so that a violation names the workspace that reached too far.
const layerRules = layers.flatMap((layer, place) =>
  layer.flatMap((workspace) => {
    const right = layers
      .slice(place + 1, -1)
      .flat()
      .filter((name) => !layer.includes(name));
    if (right.length === 0) return [];
    return [
      {
        name: `${workspace}-imports-only-left`,
        comment: `${workspace} may import only from workspaces left of it.`,
        severity: "error",
        from: { path: `^${workspace}/` },
        to: { path: alternatives(right) },
      },
    ];
  }),
);

module.exports = {
  forbidden: [
    ...layerRules,
    {
      name: "actors-apart",
      comment: "Router, Provider and client meet over the network, never in one another's code.",
      severity: "error",
      from: { path: "^(router|provider|client)/" },
      to: { path: "^(router|provider|client)/", pathNot: "^$1/" },
    },
    {
      name: "pages-apart",
      comment: "The agent and the dashboard are different programs.",
      severity: "error",
      from: { path: "^(agent|dashboard)/" },
      to: { path: "^(agent|dashboard)/", pathNot: "^$1/" },
    },
    {
      name: "nothing-imports-devnet",
      comment: "The local network and the simulation are built from the parts, never into them.",
      severity: "error",
      from: { path: `^(${workspaces.join("|")})/` },
      to: { path: "^(devnet|simulation)/", pathNot: "^$1/" },
    },
    {
      name: "no-path-into-workspace",
      comment: "Another workspace is imported by its package name, so only through its exports.",
      severity: "error",
      from: { path: `^(${workspaces.join("|")})/` },
      to: {
        path: alternatives(workspaces),
        pathNot: "^$1/",
        dependencyTypes: ["local"],
      },
    },
    {
      name: "protocol-is-pure",
      comment: "The protocol runs anywhere: no Node, and no package but the two that hash.",
      severity: "error",
      from: { path: "^protocol/src/", pathNot: testCode },
      to: { pathNot: [alternatives(workspaces), unresolved, ...hashPackages] },
    },
    {
      name: "ports-are-types",
      comment: "A port says what is needed; code in it would be an implementation.",
      severity: "error",
      from: { path: "^protocol/src/ports/", pathNot: testCode },
      to: { dependencyTypesNot: ["type-only"] },
    },
    {
      name: "router-never-sees-a-prompt",
      comment: "A Router has no type for a prompt, by whatever chain of imports.",
      severity: "error",
      from: { path: "^router/src/", pathNot: testCode },
      to: { path: "^protocol/src/inference/", reachable: true },
    },
    {
      name: "router-core-is-pure",
      comment: "The Router's state machine reaches only the protocol: replay depends on it.",
      severity: "error",
      from: { path: "^router/src/core/", pathNot: testCode },
      to: {
        pathNot: ["^router/src/core/", "^(protocol|contracts)/src/", unresolved, ...hashPackages],
        reachable: true,
      },
    },
    {
      name: "dashboard-without-platform",
      comment: "The platform's parts need Node; a web page has none.",
      severity: "error",
      from: { path: "^dashboard/src/", pathNot: testCode },
      to: { path: "^platform/", dependencyTypesNot: ["type-only"] },
    },
    {
      name: "dashboard-without-node",
      comment: "The web page runs in a browser.",
      severity: "error",
      from: { path: "^dashboard/src/", pathNot: testCode },
      to: { dependencyTypes: ["core"] },
    },
    {
      name: "no-cycles",
      comment: "Modules that need each other are one module. Types may refer to each other.",
      severity: "error",
      from: { path: product },
      to: { circular: true, viaOnly: { dependencyTypesNot: ["type-only"] } },
    },
    {
      name: "no-test-in-product",
      comment: "What ships does not depend on what only tests it.",
      severity: "error",
      from: { path: product, pathNot: testCode },
      to: { path: [testCode], pathNot: "node_modules/" },
    },
    {
      name: "no-test-support-in-product",
      comment: "A module that no entry point reaches is dead, or belongs beside the tests.",
      severity: "error",
      from: { path: entries },
      to: { path: product, pathNot: [testCode, entries, "[.]d[.]ts$"], reachable: false },
    },
    {
      name: "packages-are-declared",
      comment: "A workspace names every package that it imports in its own package.json.",
      severity: "error",
      from: { path: product, pathNot: testCode },
      to: { dependencyTypes: ["npm-no-pkg", "npm-unknown", "npm-dev"] },
    },
    {
      name: "imports-resolve",
      comment: "An import that leads nowhere would hide from every rule above.",
      severity: "error",
      from: { path: `^(${workspaces.join("|")})/` },
      to: { couldNotResolve: true },
    },
  ],
  options: {
    parser: "tsc",
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.lint.json" },
    doNotFollow: { path: "node_modules" },
    exclude: { path: "^contracts/(out|cache)/|/dist/" },
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["node", "import", "default", "require", "types"],
      extensions: [".ts", ".js", ".mjs", ".cjs", ".json", ".node"],
    },
  },
};
