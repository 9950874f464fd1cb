// Asks for each case with @anthropic-ai/sdk, and prints what came: one line of JSON for each thing seen.
import Anthropic from "@anthropic-ai/sdk";

const client = new Anthropic({ maxRetries: 0 });
const say = (value) => console.log(JSON.stringify(value));
const ask = (name) => ({
  model: "claude-haiku-4-5",
  max_tokens: 64,
  messages: [{ role: "user", content: name }],
});

const failed = (error) => say({ error: error.constructor.name, status: error.status, said: String(error.message) });

for (const name of process.argv.slice(2)) {
  say({ case: name });
  try {
    const stream = client.messages.stream(ask(name));
    stream.on("text", (text) => say({ text }));
    stream.on("inputJson", (json) => say({ json }));
    stream.on("thinking", (thinking) => say({ thinking }));
    say({ final: await stream.finalMessage() });
  } catch (error) {
    failed(error);
  }
  try {
    for await (const event of await client.messages.create({ ...ask(name), stream: true })) say({ event });
  } catch (error) {
    failed(error);
  }
}
