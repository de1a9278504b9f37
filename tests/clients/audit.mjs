// The audits of the specification GraphQL over HTTP against a server; prints each as a line of JSON.
//
//   node audit.mjs URL
import { auditServer } from "graphql-http";

for (const { id, name, status, reason } of await auditServer({ url: process.argv[2] })) {
  process.stdout.write(`${JSON.stringify({ id, name, status, reason })}\n`);
}
