import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { mkdir, readFile, stat, writeFile } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { importModel } from "../src/import-model.ts";
import { publishModel } from "../src/publish-model.ts";
import { ggufOf, ScratchNetwork } from "./scratch-network.ts";

const commit = "0123456789abcdef0123456789abcdef01234567";
const sha256 = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");
const gitSha1 = (bytes: Buffer): string =>
  createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex");

/** Answers with a file, by range if one is asked for, as object stores do. */
function sendFile(request: IncomingMessage, response: ServerResponse, bytes: Buffer): void {
  const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0);
  const part = bytes.subarray(from);
  response.writeHead(from === 0 ? 200 : 206, {
    "Content-Length": part.length,
    ...(from === 0 ? {} : { "Content-Range": `bytes ${from}-${bytes.length - 1}/${bytes.length}` }),
  });
  response.end(part);
}

/** A server with the URLs and answers of the Hugging Face Hub; large files are redirected. */
async function startHub(network: ScratchNetwork, files: Record<string, Buffer>) {
  const asked: { url: string; range: string | undefined; token: string | undefined }[] = [];
  const storage = await network.server((request, response) => {
    asked.push({
      url: `storage${request.url}`,
      range: request.headers.range,
      token: request.headers.authorization,
    });
    const bytes = files[decodeURIComponent(request.url?.slice(1) ?? "")];
    if (bytes === undefined) response.writeHead(404).end();
    else sendFile(request, response, bytes);
  });
  const hub = await network.server((request, response) => {
    asked.push({
      url: request.url ?? "",
      range: request.headers.range,
      token: request.headers.authorization,
    });
    if (request.url === "/api/models/org/repo/revision/main?blobs=true") {
      const siblings = Object.entries(files).map(([rfilename, bytes]) => ({
        rfilename,
        size: bytes.length,
        blobId: gitSha1(bytes),
        ...(bytes.length > 1000 ? { lfs: { sha256: sha256(bytes), size: bytes.length } } : {}),
      }));
      response.end(JSON.stringify({ sha: commit, siblings }));
      return;
    }
    const name = new RegExp(`^/org/repo/resolve/${commit}/(.+)$`).exec(request.url ?? "")?.[1];
    const bytes = files[decodeURIComponent(name ?? "")];
    if (name === undefined || bytes === undefined) response.writeHead(404).end("{}");
    else if (bytes.length > 1000) response.writeHead(302, { Location: `${storage}/${name}` }).end();
    else sendFile(request, response, bytes);
  });
  return { hub, asked };
}

const token = "hf_secret";

test("a model is imported from a Hub, pickles left out, and published", async (context) => {
  const network = await ScratchNetwork.open(context);
  const files = {
    "model.gguf": ggufOf(randomBytes(50_000)),
    "README.md": Buffer.from("# A model"),
    "config.json": Buffer.from("{}"),
    "pytorch_model.bin": randomBytes(2000),
    ".gitattributes": Buffer.from("*"),
  };
  const { hub, asked } = await startHub(network, files);
  const dataDir = join(network.folder, "node");
  const source = "hf:org/repo";
  const imported = await importModel({ source, dataDir, endpoint: hub, token });
  assert.deepEqual(imported.files.toSorted(), ["README.md", "config.json", "model.gguf"]);
  assert.ok((await readFile(join(imported.folder, "model.gguf"))).equals(files["model.gguf"]));
  assert.ok(asked.some((each) => each.url.startsWith("/api") && each.token === `Bearer ${token}`));
  const leaked = asked.filter((each) => each.url.startsWith("storage") && each.token !== undefined);
  assert.deepEqual(leaked, [], "the token went to another host");

  const node = await network.node("node");
  const { names } = network;
  const { manifest } = await publishModel({ node, names, source: imported.folder, handle: "a/b" });
  assert.deepEqual(
    manifest.layers.map(({ role, path }) => `${role} ${path}`),
    ["doc README.md", "weightConfig config.json", "weight model.gguf"],
  );
  const before = asked.length;
  await importModel({ source, dataDir, endpoint: hub, token });
  assert.equal(asked.length, before + 1, "only the list was asked for again");
});

test("an import goes on where it was cut off, and checks what was there", async (context) => {
  const network = await ScratchNetwork.open(context);
  const files = { "model.gguf": ggufOf(randomBytes(300_000)) };
  const { hub, asked } = await startHub(network, files);
  const dataDir = join(network.folder, "node");
  const request = { source: "hf:org/repo:model.gguf", dataDir, endpoint: hub };
  const path = join(dataDir, "models/imports/hf-org-repo-model.gguf/model.gguf");
  await mkdir(dirname(path), { recursive: true });
  await writeFile(`${path}.part`, files["model.gguf"].subarray(0, 100_000));
  await importModel(request);
  assert.ok(asked.some((each) => each.range === "bytes=100000-"));
  assert.ok((await readFile(path)).equals(files["model.gguf"]));

  const other = join(network.folder, "other");
  const wrong = join(other, "models/imports/hf-org-repo-model.gguf/model.gguf");
  await mkdir(dirname(wrong), { recursive: true });
  await writeFile(`${wrong}.part`, randomBytes(100_000));
  await assert.rejects(importModel({ ...request, dataDir: other }), { code: "block-invalid" });
  await importModel({ ...request, dataDir: other });
  assert.ok((await readFile(wrong)).equals(files["model.gguf"]), "the second try began anew");
});

test("a server that cuts off is asked for the rest", async (context) => {
  const network = await ScratchNetwork.open(context);
  const bytes = ggufOf(randomBytes(200_000));
  const { hub } = await startHub(network, { "model.gguf": bytes });
  let cuts = 0;
  const flaky = await network.server((request, response) => {
    if (request.url?.startsWith("/api") === true) {
      response.writeHead(307, { Location: `${hub}${request.url}` }).end();
      return;
    }
    const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0);
    cuts += 1;
    response.writeHead(from === 0 ? 200 : 206, {
      "Content-Length": bytes.length - from,
      "Content-Range": `bytes ${from}-${bytes.length - 1}/${bytes.length}`,
    });
    const part = bytes.subarray(from, from + 80_000);
    response.write(part, () =>
      from + part.length < bytes.length ? response.destroy() : undefined,
    );
  });
  const dataDir = join(network.folder, "node");
  const imported = await importModel({ source: "hf:org/repo", dataDir, endpoint: flaky });
  assert.ok((await readFile(join(imported.folder, "model.gguf"))).equals(bytes));
  assert.ok(cuts >= 3);
});

test("hostile lists of files are refused", async (context) => {
  const network = await ScratchNetwork.open(context);
  const dataDir = join(network.folder, "node");
  const file = { rfilename: "model.gguf", size: 5, blobId: "0".repeat(40) };
  const cases: [unknown, string][] = [
    [{ sha: commit, siblings: [{ ...file, rfilename: "../../../evil.gguf" }] }, "content-missing"],
    [{ sha: commit, siblings: [{ ...file, rfilename: "..\\..\\evil.gguf" }] }, "content-missing"],
    [{ sha: commit, siblings: [{ ...file, rfilename: "C:\\evil.gguf" }] }, "manifest-invalid"],
    [{ sha: commit, siblings: [{ ...file, rfilename: "/evil.gguf" }] }, "manifest-invalid"],
    [{ sha: commit, siblings: [{ ...file, size: 1e15 }] }, "format-refused"],
    [{ sha: commit, siblings: [{ ...file, lfs: { sha256: "x", size: 1 } }] }, "manifest-invalid"],
    [{ sha: "../..", siblings: [file] }, "manifest-invalid"],
    [{ sha: commit, siblings: "many" }, "manifest-invalid"],
    [{ sha: commit, siblings: [] }, "content-missing"],
    [null, "manifest-invalid"],
  ];
  for (const [answer, code] of cases) {
    const hub = await network.server((_, response) => response.end(JSON.stringify(answer)));
    await assert.rejects(importModel({ source: "hf:org/repo", dataDir, endpoint: hub }), { code });
  }
  for (const source of ["hf:org", "ftp:x", "nothing", "hf:../..", "oci:x", "ollama:../../x"]) {
    await assert.rejects(importModel({ source, dataDir }), { code: "argument-invalid" }, source);
  }
  await assert.rejects(stat(join(network.folder, "evil.gguf")));
});

/** A registry that speaks the OCI distribution protocol and wants a token, as public ones do. */
async function startRegistry(
  network: ScratchNetwork,
  layers: { mediaType: string; bytes: Buffer; title?: string }[],
) {
  const blobs = new Map(layers.map(({ bytes }) => [`sha256:${sha256(bytes)}`, bytes]));
  const asked: string[] = [];
  const registry: string = await network.server((request, response) => {
    asked.push(request.url ?? "");
    const url = new URL(request.url ?? "/", registry);
    if (url.pathname === "/token") {
      const isRight = url.searchParams.get("scope") === "repository:library/tiny:pull";
      response.end(JSON.stringify({ token: isRight ? "anonymous" : "wrong" }));
    } else if (request.headers.authorization !== "Bearer anonymous") {
      const challenge = `Bearer realm="${registry}/token",service="registry"`;
      response.writeHead(401, { "WWW-Authenticate": challenge }).end();
    } else if (url.pathname === "/v2/library/tiny/manifests/1b") {
      const described = layers.map(({ mediaType, bytes, title }) => ({
        mediaType,
        size: bytes.length,
        digest: `sha256:${sha256(bytes)}`,
        ...(title === undefined ? {} : { annotations: { "org.cncf.model.filepath": title } }),
      }));
      response.end(JSON.stringify({ schemaVersion: 2, layers: described }));
    } else {
      const bytes = blobs.get(url.pathname.replace("/v2/library/tiny/blobs/", ""));
      if (bytes === undefined) response.writeHead(404).end();
      else sendFile(request, response, bytes);
    }
  });
  return { registry, asked };
}

test("a model is imported from Ollama's registry", async (context) => {
  const network = await ScratchNetwork.open(context);
  const model = ggufOf(randomBytes(20_000));
  const { registry } = await startRegistry(network, [
    { mediaType: "application/vnd.ollama.image.model", bytes: model },
    { mediaType: "application/vnd.ollama.image.license", bytes: Buffer.from("MIT") },
    { mediaType: "application/vnd.ollama.image.license", bytes: Buffer.from("and more") },
    { mediaType: "application/vnd.ollama.image.params", bytes: Buffer.from("{}") },
  ]);
  const dataDir = join(network.folder, "node");
  const imported = await importModel({ source: "ollama:tiny:1b", dataDir, endpoint: registry });
  assert.deepEqual(imported.files, ["model.gguf", "LICENSE", "LICENSE-2", "params.json"]);
  assert.ok((await readFile(join(imported.folder, "model.gguf"))).equals(model));
  await assert.rejects(importModel({ source: "ollama:tiny:2b", dataDir, endpoint: registry }), {
    code: "content-missing",
  });
});

test("a ModelPack artifact is imported, archives are refused", async (context) => {
  const network = await ScratchNetwork.open(context);
  const model = ggufOf(randomBytes(20_000));
  const weight = "application/vnd.cncf.model.weight.v1";
  const source = "oci:registry.example/library/tiny:1b";
  const dataDir = join(network.folder, "node");
  const { registry } = await startRegistry(network, [
    { mediaType: `${weight}.raw`, bytes: model, title: "deep/model.gguf" },
  ]);
  const imported = await importModel({ source, dataDir, endpoint: registry });
  assert.ok((await readFile(join(imported.folder, "deep/model.gguf"))).equals(model));
  const packed = await startRegistry(network, [
    { mediaType: `${weight}.tar+gzip`, bytes: model, title: "model.gguf" },
  ]);
  await assert.rejects(importModel({ source, dataDir, endpoint: packed.registry }), {
    code: "format-refused",
  });
  const evil = await startRegistry(network, [
    { mediaType: `${weight}.raw`, bytes: model, title: "../../evil.gguf" },
  ]);
  await assert.rejects(importModel({ source, dataDir, endpoint: evil.registry }), {
    code: "manifest-invalid",
  });
});
