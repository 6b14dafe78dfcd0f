import { type Domain, domainSeparatorOf } from "@lake-travis/protocol";

// A Router has one domain for its whole life; hashing it anew for each Ticket would cost more than
// all else that a Ticket's hash does.
const known = new WeakMap<Domain, Uint8Array>();

/** The domain separator of a state's domain. */
export function separatorOf(domain: Domain): Uint8Array {
  const found = known.get(domain);
  if (found !== undefined) return found;
  const made = domainSeparatorOf(domain);
  known.set(domain, made);
  return made;
}
