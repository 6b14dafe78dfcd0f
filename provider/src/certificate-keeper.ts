import { type Clock, type Hex, LakeError } from "@lake-travis/protocol";
import {
  type Certificate,
  type HttpServer,
  loadOrCreateCertificate,
  type Logger,
  renewCertificate,
  retiredCertificates,
} from "@lake-travis/platform";
import type { SessionBook } from "./core/session-book.ts";
import { limits } from "./limits.ts";
import type { ModelShelf } from "./model-shelf.ts";

/** What a {@link CertificateKeeper} works with. */
export interface CertificateParts {
  readonly dataDir: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly book: SessionBook;
}

/**
 * Renews the certificate that the Offers pin, without dropping anybody: standing connections live
 * on, new Offers name the new one, and who pins the old one is shown that while an Offer of ours
 * that names it is good for a Session.
 */
export class CertificateKeeper {
  readonly #parts: CertificateParts;
  #current: Certificate;
  #renewing: Promise<void> | undefined;
  #place: { readonly server: HttpServer; readonly shelf: ModelShelf; endpoint: string } | undefined;

  private constructor(parts: CertificateParts, current: Certificate) {
    this.#parts = parts;
    this.#current = current;
  }

  /** Reads the certificate of a data folder, or makes one. */
  static async open(parts: CertificateParts): Promise<CertificateKeeper> {
    return new CertificateKeeper(parts, await loadOrCreateCertificate(parts.dataDir, parts.clock));
  }

  /** What a new Offer pins. */
  get fingerprint(): Hex {
    return this.#current.fingerprint;
  }

  /** What the server shows when it starts. */
  get tls(): Certificate & { readonly retired: readonly Certificate[] } {
    return { ...this.#current, retired: this.#retired() };
  }

  /** Says which server shows the certificate, and which Offers name it. */
  async attach(place: { server: HttpServer; shelf: ModelShelf; endpoint: string }): Promise<void> {
    this.#place = place;
    const { endpoint, shelf } = place;
    await shelf.moveTo({ endpoint, tlsFingerprint: this.fingerprint });
  }

  /**
   * Makes a new certificate, shows it and replaces the Offers. Throws `provider-refused` where too
   * many old ones are pinned still.
   */
  renew(): Promise<void> {
    this.#renewing ??= this.#renew().finally(() => (this.#renewing = undefined));
    return this.#renewing;
  }

  /** The same once the certificate has reached its age; a failure is told and tried again. */
  renewWhenOld(): void {
    const { clock, logger } = this.#parts;
    if (clock.now() - this.#current.madeAt < limits.certificateMs) return;
    this.renew().catch((error: unknown) => logger.error({ err: error }, "certificate not renewed"));
  }

  async #renew(): Promise<void> {
    const { dataDir, clock, logger } = this.#parts;
    if (this.#place === undefined) throw new LakeError("internal", "Nothing listens yet.");
    const { server, shelf, endpoint } = this.#place;
    if (this.#retired().length >= limits.retiredCertificatesMax) {
      throw new LakeError("provider-refused", "Too many older certificates are in use.", {
        advice: "Wait until their Sessions have ended.",
      });
    }
    this.#current = await renewCertificate(dataDir, clock);
    server.present(this.#current, this.#retired());
    logger.info({ fingerprint: this.fingerprint }, "certificate renewed");
    await shelf.moveTo({ endpoint, tlsFingerprint: this.fingerprint });
  }

  #retired(): readonly Certificate[] {
    const offers = [...this.#parts.book.offers.values()];
    const pinned = new Set(offers.map(({ signed }) => signed.message.tlsFingerprint));
    return retiredCertificates(this.#parts.dataDir, (fingerprint) => pinned.has(fingerprint));
  }
}
