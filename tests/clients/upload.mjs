// Uploads a text as a file with urql: node upload.mjs URL DOCUMENT FILENAME TYPE TEXT. Prints the answer's data.
import { Client, fetchExchange } from "@urql/core";

const [url, document, filename, type, text] = process.argv.slice(2);
const client = new Client({
  url,
  exchanges: [fetchExchange],
  fetchOptions: { headers: { "GraphQL-Require-Preflight": "1" } },
  preferGetMethod: false,
});
const file = new File([text], filename, { type });
const result = await client.mutation(document, { file }).toPromise();
if (result.error) {
  console.error(result.error);
  process.exit(1);
}
const { __typename, ...upload } = result.data.upload;
console.log(JSON.stringify({ upload }));
