// The same with the AI SDK: the parts of its full stream. It wants /v1 in ANTHROPIC_BASE_URL, where it is not set.
import { anthropic } from "@ai-sdk/anthropic";
import { jsonSchema, streamText, tool } from "ai";

const anything = tool({ inputSchema: jsonSchema({ type: "object", additionalProperties: true }) });

for (const name of process.argv.slice(2)) {
  console.log(JSON.stringify({ case: name }));
  const result = streamText({
    model: anthropic("claude-haiku-4-5"),
    prompt: name,
    maxRetries: 0,
    tools: { get_weather: anything },
    onError: () => {},
  });
  try {
    for await (const part of result.fullStream) {
      const { type, text, delta, toolName, input, finishReason, error } = part;
      const said = error === undefined ? undefined : String(error.message ?? error);
      console.log(JSON.stringify({ type, text, delta, toolName, input, finishReason, error: said }));
    }
  } catch (error) {
    console.log(JSON.stringify({ error: error.constructor.name, said: String(error.message) }));
  }
}
