import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";

/** A label file is a list of names; a larger one is something else. */
const labelBytesMax = 4 * 1024 * 1024;

/**
 * The names of a classifier's classes: `labels.txt` (one a line), or `id2label` of a
 * `config.json` as Hugging Face writes it, or else the classes' numbers.
 */
export function readLabels(folder: string, classes: number): readonly string[] {
  const numbers = Array.from({ length: classes }, (_, index) => String(index));
  const named = linesOf(join(folder, "labels.txt")) ?? configLabels(join(folder, "config.json"));
  if (named === undefined) return numbers;
  return numbers.map((number, index) => named[index] ?? number);
}

function linesOf(path: string): readonly string[] | undefined {
  return readSmall(path)
    ?.trim()
    .split("\n")
    .map((line) => line.trim());
}

function configLabels(path: string): readonly (string | undefined)[] | undefined {
  const text = readSmall(path);
  if (text === undefined) return undefined;
  try {
    const { id2label } = Object(JSON.parse(text)) as { id2label?: Record<string, unknown> };
    if (typeof id2label !== "object") return undefined;
    const labels: (string | undefined)[] = [];
    for (const [id, label] of Object.entries(id2label)) {
      if (/^[0-9]{1,6}$/.test(id) && typeof label === "string") labels[Number(id)] = label;
    }
    return labels;
  } catch {
    // Not JSON: then it is no list of labels either.
    return undefined;
  }
}

function readSmall(path: string): string | undefined {
  if (!existsSync(path) || statSync(path).size > labelBytesMax) return undefined;
  return readFileSync(path, "utf8");
}
