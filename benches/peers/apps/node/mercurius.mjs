// Mercurius with loaders and JIT, node-postgres pool.
import Fastify from 'fastify'
import mercurius from 'mercurius'
import pg from 'pg'

const pool = new pg.Pool({ connectionString: process.env.BENCH_PG_URL, max: 16 })
const q = (name, text, values) => pool.query({ name, text, values }).then(r => r.rows)

const schema = `
type Comment { id: Int! body: String! }
type Post { id: Int! authorId: Int! title: String! body: String! views: Int! published: Boolean! comments: [Comment!]! }
type Author { id: Int! name: String! posts: [Post!]! }
type Query { hello: String! authors(limit: Int!): [Author!]! posts(limit: Int!): [Post!]! }
`
const resolvers = {
  Query: {
    hello: () => 'world',
    authors: (_, { limit }) => q('authors', 'SELECT id, name FROM authors ORDER BY id LIMIT $1', [limit]),
    posts: (_, { limit }) =>
      q('posts', 'SELECT id, author_id AS "authorId", title, body, views, published FROM posts ORDER BY id LIMIT $1', [limit])
  }
}
const group = (rows, key, ids) => {
  const by = new Map(ids.map(i => [i, []]))
  for (const r of rows) by.get(r[key]).push(r)
  return ids.map(i => by.get(i))
}
const loaders = {
  Author: {
    posts: {
      async loader (queries) {
        const ids = queries.map(x => x.obj.id)
        return group(await q('posts_of', 'SELECT id, author_id, title FROM posts WHERE author_id = ANY($1::int[]) ORDER BY id', [ids]), 'author_id', ids)
      },
      opts: { cache: false }
    }
  },
  Post: {
    comments: {
      async loader (queries) {
        const ids = queries.map(x => x.obj.id)
        return group(await q('comments_of', 'SELECT id, post_id, body FROM comments WHERE post_id = ANY($1::int[]) ORDER BY id', [ids]), 'post_id', ids)
      },
      opts: { cache: false }
    }
  }
}
const app = Fastify({ logger: false })
app.register(mercurius, { schema, resolvers, loaders, jit: 1, graphiql: false })
await app.listen({ host: '127.0.0.1', port: Number(process.argv[2]) })
