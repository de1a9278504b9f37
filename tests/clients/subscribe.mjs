// Subscribes with a real client, prints each thing that happens as a line of JSON, and does what stdin says.
//
//   node subscribe.mjs ws|sse URL DOCUMENT [OPTIONS]
//
// OPTIONS is JSON: variables, connectionParams, take (how many answers until it unsubscribes), headers.
import { createClient as createSse } from "graphql-sse";
import { createClient as createWs } from "graphql-ws";
import WebSocket from "ws";

const [kind, url, query, given = "{}"] = process.argv.slice(2);
const options = JSON.parse(given);
const say = (what, value) => process.stdout.write(`${JSON.stringify([what, value ?? null])}\n`);

const client =
  kind === "ws"
    ? createWs({
        url,
        webSocketImpl: WebSocket,
        connectionParams: options.connectionParams,
        retryAttempts: 0,
        lazy: true,
        on: {
          connected: (_, payload) => say("connected", payload),
          closed: (event) => say("closed", { code: event.code, reason: event.reason }),
        },
      })
    : createSse({ url, headers: options.headers, retryAttempts: 0 });

let taken = 0;
const ended = new Promise((resolve) => {
  const stop = client.subscribe(
    { query, variables: options.variables },
    {
      next(answer) {
        say("next", answer);
        taken += 1;
        if (taken === options.take) stop();
      },
      error(error) {
        say("error", Array.isArray(error) ? error : { code: error.code, message: String(error.message ?? error.reason) });
        resolve();
      },
      complete() {
        say("complete");
        resolve();
      },
    },
  );
});
await ended;
await client.dispose();
