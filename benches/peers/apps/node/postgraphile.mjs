// PostGraphile 5 (Grafast), simple lists instead of Relay connections so that the answer has the common shape.
import { createServer } from 'node:http'
import { postgraphile } from 'postgraphile'
import { PostGraphileAmberPreset } from 'postgraphile/presets/amber'
import { makePgService } from 'postgraphile/adaptors/pg'
import { grafserv } from 'postgraphile/grafserv/node'
import { extendSchema } from 'postgraphile/utils'
import { constant } from 'postgraphile/grafast'

const Hello = extendSchema({
  typeDefs: 'extend type Query { hello: String! }',
  objects: { Query: { plans: { hello () { return constant('world') } } } }
})
const preset = {
  extends: [PostGraphileAmberPreset],
  plugins: [Hello],
  schema: { defaultBehavior: '-connection +list', pgOmitListSuffix: true },
  pgServices: [makePgService({
    connectionString: process.env.BENCH_PG_URL, schemas: ['public'],
    poolConfig: { max: 16 }
  })],
  grafserv: { graphiql: false, watch: false, graphqlPath: '/graphql' },
  grafast: { explain: false }
}
const pgl = postgraphile(preset)
const serv = pgl.createServ(grafserv)
const server = createServer()
await serv.addTo(server)
server.listen(Number(process.argv[2]), '127.0.0.1')
