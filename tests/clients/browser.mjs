// Apollo Client and urql as pages have them. `build.mjs` bundles this; tests call `clients.apollo` and `clients.urql`.
import { ApolloClient, ApolloLink, CombinedGraphQLErrors, HttpLink, InMemoryCache, gql as parse } from "@apollo/client";
import { GraphQLWsLink } from "@apollo/client/link/subscriptions";
import { OperationTypeNode } from "graphql";
import { createClient as createWs } from "graphql-ws";
import { Client, cacheExchange, fetchExchange, gql, subscriptionExchange } from "@urql/core";

const url = new URL("/graphql", location.href).href;
const ws = () => createWs({ url: new URL("/subscriptions", location.href).href.replace(/^http/, "ws"), retryAttempts: 0 });

/** Subscriptions begun: what came, whether it is over, how to stop it. */
const streams = [];

function apollo() {
  const sockets = new GraphQLWsLink(ws());
  const client = new ApolloClient({
    cache: new InMemoryCache(),
    link: ApolloLink.split(({ operationType }) => operationType === OperationTypeNode.SUBSCRIPTION, sockets, new HttpLink({ uri: url })),
    defaultOptions: { query: { errorPolicy: "all" }, mutate: { errorPolicy: "all" } },
  });
  const plain = ({ data, error }) => ({
    data: data ?? null,
    errors: CombinedGraphQLErrors.is(error) ? error.errors.map(({ message }) => message) : error ? [error.message] : [],
  });
  return {
    query: async (document, variables) => plain(await client.query({ query: parse(document), variables })),
    mutate: async (document, variables) => plain(await client.mutate({ mutation: parse(document), variables })),
    subscribe: (document, variables) => client.subscribe({ query: parse(document), variables }),
  };
}

function urql() {
  const sockets = ws();
  const forward = ({ query, variables, operationName }) => ({
    subscribe: (sink) => ({ unsubscribe: sockets.subscribe({ query, variables, operationName }, sink) }),
  });
  const client = new Client({
    url,
    preferGetMethod: "within-url-limit",
    exchanges: [cacheExchange, fetchExchange, subscriptionExchange({ forwardSubscription: forward })],
  });
  const plain = ({ data, error }) => ({ data: data ?? null, errors: error?.graphQLErrors.map(({ message }) => message) ?? [] });
  return {
    query: async (document, variables) => plain(await client.query(gql(document), variables)),
    mutate: async (document, variables) => plain(await client.mutation(gql(document), variables)),
    subscribe: (document, variables) => ({
      // At the end urql gives the last event once more, with the word that none follows.
      subscribe: ({ next, complete }) =>
        client.subscription(gql(document), variables).subscribe((event) => (event.hasNext ? next(event) : complete())),
    }),
  };
}

function listening(client) {
  return {
    ...client,
    /** Begins a subscription; its number. */
    listen(document, variables) {
      const stream = { events: [], over: false };
      const subscription = client.subscribe(document, variables).subscribe({
        next: ({ data }) => stream.events.push(data),
        complete: () => (stream.over = true),
      });
      stream.stop = () => subscription.unsubscribe();
      return streams.push(stream) - 1;
    },
  };
}

globalThis.clients = { apollo: listening(apollo()), urql: listening(urql()) };
globalThis.streams = streams;
