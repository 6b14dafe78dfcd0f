// Turns forge's artifacts into TypeScript: what deploys or calls the contracts needs no compiler.
import { readFileSync } from "node:fs";
import { format } from "prettier";

interface AbiParameter {
  name: string;
  components?: AbiParameter[];
}
interface AbiEntry {
  inputs?: AbiParameter[];
  outputs?: AbiParameter[];
}
interface Artifact {
  abi: AbiEntry[];
  bytecode: { object: string };
}

/** The contracts that TypeScript deploys or calls. */
export const contractNames = [
  "DevMor",
  "ModelRegistry",
  "NodeRegistry",
  "ComputeContract",
  "MessagesHarness",
] as const;

// 88 hexadecimal digits and the punctuation around them stay within 100 columns.
const lineDigits = 88;

/** The generated files, by path in this workspace, from the artifacts in `out/`. */
export async function generate(): Promise<Map<string, string>> {
  let abis = header;
  let bytecodes = header;
  for (const name of contractNames) {
    const artifact = readArtifact(name);
    const camel = name.charAt(0).toLowerCase() + name.slice(1);
    const abi = JSON.stringify(artifact.abi);
    abis += `/** ABI of ${name}. */\nexport const ${camel}Abi = ${abi} as const;\n\n`;
    const what = "to which its constructor's arguments are appended";
    bytecodes += `/** Creation code of ${name}, ${what}. */\n`;
    bytecodes += `export const ${camel}Bytecode: \`0x\${string}\` = \`0x\${[\n`;
    bytecodes += chunks(artifact.bytecode.object.slice(2)).join("\n");
    bytecodes += `\n].join("")}\`;\n\n`;
  }
  const options = { parser: "typescript", printWidth: 100 };
  return new Map([
    ["src/abi.ts", await format(abis, options)],
    ["src/bytecode.ts", await format(bytecodes, options)],
  ]);
}

const header =
  "// Generated from the Solidity sources by `npm run build`; a test checks it is fresh.\n\n";

function readArtifact(name: string): Artifact {
  const path = new URL(`../out/release/${name}.sol/${name}.json`, import.meta.url);
  const artifact = JSON.parse(readFileSync(path, "utf8")) as Artifact;
  for (const entry of artifact.abi) {
    for (const parameter of [...(entry.inputs ?? []), ...(entry.outputs ?? [])]) rename(parameter);
  }
  return artifact;
}

// `seconds` is a unit in Solidity and cannot name a field there; in the message it is `seconds`.
function rename(parameter: AbiParameter): void {
  if (parameter.name === "secondsAgreed") parameter.name = "seconds";
  for (const component of parameter.components ?? []) rename(component);
}

function chunks(digits: string): string[] {
  const lines: string[] = [];
  for (let at = 0; at < digits.length; at += lineDigits) {
    lines.push(`"${digits.slice(at, at + lineDigits)}",`);
  }
  return lines;
}
