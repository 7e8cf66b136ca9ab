// Whether the document on standard input is one of OpenAPI. Writes its version in a line, or ends with what is wrong.
import { Validator } from "@seriousme/openapi-schema-validator";

let text = "";
for await (const chunk of process.stdin) text += chunk;
const validator = new Validator();
const { valid, errors } = await validator.validate(JSON.parse(text));
if (!valid) throw new Error(JSON.stringify(errors, null, 2));
process.stdout.write(`${validator.version}\n`);
