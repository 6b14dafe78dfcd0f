import { lstat, readdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { LakeError } from "@lake-travis/protocol";
import type { ModelFile } from "./describe-model.ts";
import { limits } from "./limits.ts";
import { checkFilePath, refuseExecutable, type LayerRole } from "./manifest.ts";

/**
 * The files of a model to publish: one file, or a folder's files, hidden ones left out.
 *
 * Throws `folder-unusable` where it cannot be read, `format-refused` for symbolic links (which
 * could publish what lies elsewhere), device files and formats that can carry code.
 */
export async function listFiles(source: string): Promise<ModelFile[]> {
  const there = await lstat(source).catch((cause: unknown) => {
    throw new LakeError("folder-unusable", `${source} cannot be read.`, {
      cause,
      advice: "Name a .gguf, .onnx or .safetensors file, or a folder.",
    });
  });
  const files = there.isDirectory()
    ? await listFolder(source)
    : [await fileOf(source, basename(source))];
  if (files.length === 0) throw new LakeError("format-refused", `${source} has no files.`);
  if (files.length > limits.layersMax) {
    throw new LakeError("format-refused", `${source} has more than ${limits.layersMax} files.`);
  }
  return files.sort((one, other) => (one.path < other.path ? -1 : 1));
}

/** What a file of a model is for, by its name. */
export function roleOfFile(path: string): LayerRole {
  const name = path.toLowerCase();
  if (/\.(?:gguf|onnx|safetensors|onnx_data|data)$/.test(name)) return "weight";
  if (/(?:^|\/)(?:licen[cs]e|readme|notice|copying)(?:\.[a-z]+)?$/.test(name)) return "doc";
  if (/\.(?:md|pdf|rst)$/.test(name)) return "doc";
  return /\.(?:py|sh|js|ts)$/.test(name) ? "code" : "weightConfig";
}

async function listFolder(source: string): Promise<ModelFile[]> {
  const files: ModelFile[] = [];
  let seen = 0;
  const folders = [""];
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    for (const entry of await readdir(join(source, folder), { withFileTypes: true })) {
      seen += 1;
      if (seen > limits.folderEntriesMax) {
        throw new LakeError("format-refused", `${source} has too many entries to be a model.`);
      }
      if (entry.name.startsWith(".")) continue;
      const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
      if (entry.isDirectory()) {
        checkFilePath(path);
        folders.push(path);
      } else files.push(await fileOf(join(source, path), path));
    }
  }
  return files;
}

async function fileOf(source: string, path: string): Promise<ModelFile> {
  const there = await lstat(source);
  if (there.isSymbolicLink()) {
    throw new LakeError("format-refused", `${source} is a symbolic link.`, {
      advice: "Publish the file itself: a link could give away what it points at.",
    });
  }
  if (!there.isFile()) throw new LakeError("format-refused", `${source} is not a plain file.`);
  refuseExecutable(path);
  return { path: checkFilePath(path), source, bytes: there.size };
}
