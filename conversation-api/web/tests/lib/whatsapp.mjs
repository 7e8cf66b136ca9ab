// A customer who writes over WhatsApp.
import { createHmac, randomUUID } from "node:crypto";

export const CUSTOMERS = {
  grace: { phone: "491701000001", name: "Grace Hopper", conversation: 1 },
  alan: { phone: "491701000002", name: "Alan Kay", conversation: 2 },
  barbara: { phone: "491701000003", name: "Barbara Liskov", conversation: 3 },
  edsger: { phone: "491701000004", name: "Edsger Dijkstra", conversation: 4 },
};

/** What Meta posts when a customer has written `text`. */
export function webhook({ phone, name }, text) {
  const message = { from: phone, id: `wamid.${randomUUID()}`, timestamp: "1", type: "text", text: { body: text } };
  const value = {
    messaging_product: "whatsapp",
    metadata: { display_phone_number: "4930000000", phone_number_id: "1" },
    contacts: [{ wa_id: phone, profile: { name } }],
    messages: [message],
  };
  const entry = [{ id: "1", changes: [{ field: "messages", value }] }];
  return JSON.stringify({ object: "whatsapp_business_account", entry });
}

/** Posts a webhook as Meta does. */
export async function deliver(url, secret, body) {
  const signature = createHmac("sha256", secret).update(body).digest("hex");
  const headers = { "Content-Type": "application/json", "X-Hub-Signature-256": `sha256=${signature}` };
  const response = await fetch(`${url}/api/webhooks/whatsapp`, { method: "POST", headers, body });
  if (!response.ok) throw new Error(`the webhook was answered with ${response.status}: ${await response.text()}`);
}
