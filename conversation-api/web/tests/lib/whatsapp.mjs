// A customer who writes over WhatsApp.
import { createHmac, randomUUID } from "node:crypto";

import { PHONE_NUMBER_ID } from "./graph.mjs";

export const CUSTOMERS = {
  grace: { phone: "491701000001", name: "Grace Hopper", conversation: 1 },
  alan: { phone: "491701000002", name: "Alan Kay", conversation: 2 },
  barbara: { phone: "491701000003", name: "Barbara Liskov", conversation: 3 },
  edsger: { phone: "491701000004", name: "Edsger Dijkstra", conversation: 4 },
};

const now = () => String(Math.floor(Date.now() / 1000));

function report(value) {
  const metadata = { display_phone_number: "4930000000", phone_number_id: PHONE_NUMBER_ID };
  const changes = [{ field: "messages", value: { messaging_product: "whatsapp", metadata, ...value } }];
  return JSON.stringify({ object: "whatsapp_business_account", entry: [{ id: "1", changes }] });
}

/** What Meta posts when a customer has sent a message: a text, or whatever `message` is of another kind. */
export function webhook({ phone, name }, message) {
  const kind = typeof message === "string" ? { type: "text", text: { body: message } } : message;
  const contacts = [{ wa_id: phone, profile: { name } }];
  return report({ contacts, messages: [{ from: phone, id: `wamid.${randomUUID()}`, timestamp: now(), ...kind }] });
}

/** What Meta posts when a message that was sent has come further, or has failed. */
export const statusReport = (id, status, errors) =>
  report({ statuses: [{ id, status, timestamp: now(), recipient_id: "491701000001", errors }] });

/** Posts a webhook as Meta does. */
export async function deliver(url, secret, body) {
  const signature = createHmac("sha256", secret).update(body).digest("hex");
  const headers = { "Content-Type": "application/json", "X-Hub-Signature-256": `sha256=${signature}` };
  let response;
  // What is not taken is sent again.
  do response = await fetch(`${url}/api/webhooks/whatsapp`, { method: "POST", headers, body });
  while (response.status >= 500);
  if (!response.ok) throw new Error(`the webhook was answered with ${response.status}: ${await response.text()}`);
}
