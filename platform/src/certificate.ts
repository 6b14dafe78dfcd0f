import "reflect-metadata";
import { createHash, webcrypto } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as x509 from "@peculiar/x509";
import { type Clock, type Hex, toHex } from "@lake-travis/protocol";

/** A TLS key pair in PEM and the SHA-256 of its certificate's DER bytes. */
export interface Certificate {
  readonly key: string;
  readonly cert: string;
  readonly fingerprint: Hex;
}

// The fingerprint is what Users check, so the dates only have to be wide.
const lifetimeMs = 10 * 365 * 86_400_000;
const clockSlackMs = 86_400_000;

/** Reads the certificate in `folder`, or makes a self-signed P-256 one there. */
export async function loadOrCreateCertificate(folder: string, clock: Clock): Promise<Certificate> {
  const keyPath = join(folder, "tls-key.pem");
  const certPath = join(folder, "tls-cert.pem");
  if (!existsSync(certPath)) {
    const made = await makeCertificate(clock.now());
    writeFileSync(keyPath, made.key, { mode: 0o600, flush: true });
    writeFileSync(certPath, made.cert, { flush: true });
  }
  const cert = readFileSync(certPath, "utf8");
  return { key: readFileSync(keyPath, "utf8"), cert, fingerprint: fingerprintOf(cert) };
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
    key: x509.PemConverter.encode(pkcs8, "PRIVATE KEY"),
    cert: certificate.toString("pem"),
  };
}

function fingerprintOf(pem: string): Hex {
  const [der] = x509.PemConverter.decode(pem);
  return toHex(
    createHash("sha256")
      .update(new Uint8Array(der as ArrayBuffer))
      .digest(),
  );
}
