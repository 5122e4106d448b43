/** The tables of the example of a read model. Tests of several files may have one database. */
import { env } from "cloudflare:test";
import schema from "../../docs/examples/read-model/schema.sql?raw";

export async function createReadModel(): Promise<void> {
  const statements = schema.replaceAll("CREATE TABLE", "CREATE TABLE IF NOT EXISTS").split(";");
  await env.DB.batch(statements.filter((statement) => statement.trim() !== "").map((statement) => env.DB.prepare(statement)));
}
