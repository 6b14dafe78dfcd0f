import {
  type Domain,
  type Fields,
  type MessageType,
  messageToJson,
  type ValuesOf,
} from "@lake-travis/protocol";

/** One member of a struct, as `eth_signTypedData_v4` wants it. */
interface TypedMember {
  readonly name: string;
  readonly type: string;
}

/** The argument of `eth_signTypedData_v4`. */
export interface TypedData {
  readonly types: Readonly<Record<string, readonly TypedMember[]>>;
  readonly primaryType: string;
  readonly domain: {
    readonly name: string;
    readonly version: string;
    readonly chainId: number;
    readonly verifyingContract: string;
  };
  readonly message: Readonly<Record<string, unknown>>;
}

/** Writes a message of ours as the typed data that any wallet shows and signs. */
export function typedDataOf<F extends Fields>(
  type: MessageType<F>,
  message: ValuesOf<F>,
  domain: Domain,
): TypedData {
  return {
    types: { EIP712Domain: domainMembers, ...typesIn(type.typeString) },
    primaryType: type.name,
    domain: {
      name: "Lake Travis",
      version: "1",
      chainId: domain.chainId,
      verifyingContract: domain.computeContract,
    },
    message: messageToJson(type, message),
  };
}

const domainMembers: readonly TypedMember[] = [
  { name: "name", type: "string" },
  { name: "version", type: "string" },
  { name: "chainId", type: "uint256" },
  { name: "verifyingContract", type: "address" },
];

/** Reads `A(b c,d e)F(g h)` back: EIP-712's encodeType has the referenced structs behind. */
function typesIn(typeString: string): Record<string, TypedMember[]> {
  const structs = [...typeString.matchAll(/([A-Za-z0-9]+)\(([^)]*)\)/g)];
  return Object.fromEntries(
    structs.map(([, name = "", members = ""]) => [name, members.split(",").map(memberIn)]),
  );
}

function memberIn(text: string): TypedMember {
  const [type = "", name = ""] = text.split(" ");
  return { name, type };
}
