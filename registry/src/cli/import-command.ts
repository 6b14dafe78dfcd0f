import { readFile } from "node:fs/promises";
import { Command } from "commander";
import { importModel } from "../import-model.ts";
import type { CommandContext } from "./command-context.ts";
import { formatBytes } from "./format-text.ts";
import { printProgress } from "./print-progress.ts";

const examples = `
Examples:
  lake import hf:bartowski/Llama-3.2-1B-Instruct-GGUF:Llama-3.2-1B-Instruct-Q4_K_M.gguf
  lake import ollama:llama3.2:1b
  lake import oci:registry.example/models/llama:8b --token-file token.txt
  lake import hf:org/repo --endpoint http://127.0.0.1:8080

Then publish the folder that it prints: lake publish <folder> builder/name:tag`;

/** `lake import <source>`. */
export function importCommand(context: CommandContext): Command {
  return new Command("import")
    .description("download a model from Hugging Face, Ollama or an OCI registry, with checksums")
    .argument("<source>", "hf:org/repo[:file], ollama:name[:tag], oci:host/repo[:tag], file:path")
    .option("--endpoint <url>", "another host that speaks the same protocol")
    .option("--token-file <path>", "file with a token for the host")
    .addHelpText("after", examples)
    .action(async (source: string, flags: { endpoint?: string; tokenFile?: string }) => {
      const { endpoint, tokenFile } = flags;
      const token =
        tokenFile === undefined ? undefined : (await readFile(tokenFile, "utf8")).trim();
      const imported = await importModel({
        source,
        dataDir: context.dataDir,
        onProgress: printProgress(context),
        ...(endpoint === undefined ? {} : { endpoint }),
        ...(token === undefined ? {} : { token }),
      });
      context.stdout.write(
        context.json
          ? `${JSON.stringify(imported)}\n`
          : `${imported.folder}  (${formatBytes(imported.bytes)})\n`,
      );
    });
}
