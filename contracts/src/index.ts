/** The contracts of Lake Travis as TypeScript sees them: ABIs, and bytecode to deploy. */
export * from "./abi.ts";
export * from "./bytecode.ts";
