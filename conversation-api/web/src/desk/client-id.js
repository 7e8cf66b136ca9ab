/** A random id, by which a message is the same one however often it is sent. `crypto.randomUUID` is not there on plain HTTP. */
export function newClientId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
