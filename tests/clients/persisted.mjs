// Asks twice with Apollo Client's persisted queries: node persisted.mjs URL DOCUMENT METHOD. Prints the answers, then the
// requests: their method, and whether they had the document's text.
import { createHash } from "node:crypto";
import { ApolloClient, ApolloLink, HttpLink, InMemoryCache, gql } from "@apollo/client";
import { PersistedQueryLink } from "@apollo/client/link/persisted-queries";


const [url, document, method] = process.argv.slice(2);
const requests = [];
const http = new HttpLink({
  uri: url,
  headers: { "Apollo-Require-Preflight": "1" },
  fetch: (address, options) => {
    const text = options.method === "GET" ? new URL(address).searchParams.has("query") : "query" in JSON.parse(options.body);
    requests.push({ method: options.method, text });
    return fetch(address, options);
  },
});
const persisted = new PersistedQueryLink({
  sha256: (text) => createHash("sha256").update(text).digest("hex"),
  useGETForHashedQueries: method === "GET",
});
const client = new ApolloClient({ link: ApolloLink.from([persisted, http]), cache: new InMemoryCache() });
const answers = [];
for (let round = 0; round < 2; round += 1) {
  const { data } = await client.query({ query: gql(document), fetchPolicy: "no-cache" });
  answers.push(data);
}
console.log(JSON.stringify(answers));
console.log(JSON.stringify(requests));
