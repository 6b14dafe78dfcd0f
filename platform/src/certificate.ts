/*
 * A Provider's own TLS certificates: the one shown now, and those that it showed before.
 *
 * `tls-key.pem` and `tls-cert.pem` are the current pair. A renewal first lays the new pair down
 * whole as `tls-next.pem` and the old one under `tls-retired/`; a crash at any moment leaves one of
 * both pairs, and the next load finishes what was begun.
 */
import "reflect-metadata";
import { createHash, webcrypto, X509Certificate } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import * as x509 from "@peculiar/x509";
import { type Clock, type Hex, toHex } from "@lake-travis/protocol";

/** A TLS key pair in PEM and the SHA-256 of its certificate's DER bytes. */
export interface Certificate {
  readonly key: string;
  readonly cert: string;
  readonly fingerprint: Hex;
  /** Unix milliseconds, to the second. */
  readonly madeAt: number;
}

// The fingerprint is what Users check, so the dates only have to be wide.
const lifetimeMs = 10 * 365 * 86_400_000;
const clockSlackMs = 86_400_000;

/** Reads the certificate in `folder`, or makes a self-signed P-256 one there. */
export async function loadOrCreateCertificate(folder: string, clock: Clock): Promise<Certificate> {
  if (!existsSync(pathsOf(folder).cert) && !existsSync(pathsOf(folder).next)) {
    await layDown(folder, clock);
  }
  finishRenewal(folder);
  return readCurrent(folder);
}

/** Replaces the certificate in `folder` by a new one; the old one becomes a retired one. */
export async function renewCertificate(folder: string, clock: Clock): Promise<Certificate> {
  const old = await loadOrCreateCertificate(folder, clock);
  const { retired } = pathsOf(folder);
  mkdirSync(retired, { recursive: true });
  writePrivate(join(retired, `${old.fingerprint.slice(2)}.pem`), old.key + old.cert);
  await layDown(folder, clock);
  finishRenewal(folder);
  return readCurrent(folder);
}

/** The retired certificates that somebody may still pin; the others are deleted. */
export function retiredCertificates(
  folder: string,
  isPinned: (fingerprint: Hex) => boolean,
): readonly Certificate[] {
  const { retired } = pathsOf(folder);
  if (!existsSync(retired)) return [];
  const kept: Certificate[] = [];
  for (const name of readdirSync(retired)) {
    if (!name.endsWith(".pem")) continue;
    const path = join(retired, name);
    const pem = readFileSync(path, "utf8");
    // TLS finds its part in a file that holds both.
    const certificate = certificateOf(pem, pem);
    if (isPinned(certificate.fingerprint)) kept.push(certificate);
    else rmSync(path);
  }
  return kept;
}

function pathsOf(folder: string) {
  return {
    key: join(folder, "tls-key.pem"),
    cert: join(folder, "tls-cert.pem"),
    next: join(folder, "tls-next.pem"),
    retired: join(folder, "tls-retired"),
  };
}

async function layDown(folder: string, clock: Clock): Promise<void> {
  const made = await makeCertificate(clock.now());
  writePrivate(pathsOf(folder).next, made.key + made.cert);
}

function finishRenewal(folder: string): void {
  const { key, cert, next } = pathsOf(folder);
  if (!existsSync(next)) return;
  const pem = readFileSync(next, "utf8");
  const border = pem.indexOf("-----BEGIN CERTIFICATE");
  writePrivate(key, pem.slice(0, border));
  writePrivate(cert, pem.slice(border));
  rmSync(next);
}

// Whole or not at all.
function writePrivate(path: string, text: string): void {
  writeFileSync(`${path}.new`, text, { mode: 0o600, flush: true });
  renameSync(`${path}.new`, path);
}

function readCurrent(folder: string): Certificate {
  const { key, cert } = pathsOf(folder);
  return certificateOf(readFileSync(key, "utf8"), readFileSync(cert, "utf8"));
}

async function makeCertificate(now: number): Promise<{ key: string; cert: string }> {
  const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: "CN=Lake Travis Provider",
    notBefore: new Date(now - clockSlackMs),
    notAfter: new Date(now + lifetimeMs),
    signingAlgorithm: algorithm,
    keys,
  });
  const pkcs8 = await webcrypto.subtle.exportKey("pkcs8", keys.privateKey);
  return {
    key: `${x509.PemConverter.encode(pkcs8, "PRIVATE KEY")}\n`,
    cert: `${certificate.toString("pem")}\n`,
  };
}

function certificateOf(key: string, cert: string): Certificate {
  const read = new X509Certificate(cert);
  const fingerprint = toHex(createHash("sha256").update(read.raw).digest());
  return { key, cert, fingerprint, madeAt: Date.parse(read.validFrom) + clockSlackMs };
}
