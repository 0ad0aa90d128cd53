// A Node service that spends credits by plain HTTP, with nothing installed: node 18 or newer.
//
//   node examples/node_service.mjs 5004
//   curl -X POST 'http://127.0.0.1:5004/images?user=user_1&prompt=a+cat'
//
// It needs CREDITGATE_URL and CREDITGATE_API_KEY.
import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { setTimeout as pause } from "node:timers/promises";

const { CREDITGATE_URL, CREDITGATE_API_KEY } = process.env;
const PATIENCE_MS = 20_000;

class Problem extends Error {
  constructor(problem) {
    super(problem.detail);
    this.problem = problem;
  }
}

// One call of the API. Every call has a name in it, so it may be sent again whatever became of the last try.
async function call(method, path, body) {
  const deadline = Date.now() + PATIENCE_MS;
  for (let tries = 0; ; tries += 1) {
    let problem = { status: 503, code: "gate_unavailable", detail: "Creditgate did not answer" };
    let waitMs = Math.min(2000, 50 * 2 ** tries) * (0.5 + Math.random() / 2);
    try {
      const response = await fetch(CREDITGATE_URL + path, {
        method,
        headers: { Authorization: `Bearer ${CREDITGATE_API_KEY}`, "Content-Type": "application/json" },
        body: JSON.stringify(body),
        signal: AbortSignal.timeout(10_000),
      });
      const answer = await response.json();
      if (response.ok) return answer;
      if (![429, 502, 503, 504].includes(response.status)) throw new Problem(answer);
      problem = answer;
      waitMs = Math.max(waitMs, 1000 * Number(response.headers.get("Retry-After") ?? 0));
    } catch (error) {
      if (error instanceof Problem) throw error;
    }
    if (Date.now() + waitMs > deadline) throw new Problem(problem);
    await pause(waitMs);
  }
}

// Credits held while `work` runs, extended meanwhile; paid for when it is done, given back when it fails.
async function spending(account, items, work, { ttlS = 30, reservationId = randomUUID() } = {}) {
  const reservations = `/v1/accounts/${encodeURIComponent(account)}/reservations`;
  await call("POST", reservations, { reservation_id: reservationId, items, ttl_s: ttlS });
  const hold = `${reservations}/${encodeURIComponent(reservationId)}`;
  // A beat that fails is no harm: two more come before the hold ends.
  const beat = setInterval(() => call("POST", `${hold}/extend`, { ttl_s: ttlS }).catch(() => {}), (ttlS * 1000) / 3);
  try {
    const { result, used } = await work();
    await call("POST", `${hold}/commit`, used === undefined ? {} : { items: used });
    return result;
  } catch (error) {
    // Should this fail, too, the hold's deadline frees it.
    await call("POST", `${hold}/release`, {}).catch(() => {});
    throw error;
  } finally {
    clearInterval(beat);
  }
}

const server = createServer(async (request, response) => {
  const answer = (status, body) => {
    const kind = status < 400 ? "application/json" : "application/problem+json";
    response.writeHead(status, { "Content-Type": kind }).end(JSON.stringify(body));
  };
  const url = new URL(request.url, "http://localhost");
  if (request.method !== "POST" || url.pathname !== "/images") return answer(404, { status: 404, code: "not_found" });
  try {
    // Whoever is asking. Your app knows it from a session; never take it from the request as this example does.
    const user = url.searchParams.get("user") ?? "nobody";
    const image = await spending(user, { image_generation: 1 }, async () => {
      const prompt = url.searchParams.get("prompt");
      if (!prompt) throw new Problem({ status: 400, code: "no_prompt", detail: "say what to draw" });
      return { result: `an image of ${prompt}` };
    });
    return answer(200, { image });
  } catch (error) {
    return error instanceof Problem ? answer(error.problem.status, error.problem) : answer(500, { status: 500 });
  }
});

server.listen(Number(process.argv[2] ?? 5004), "127.0.0.1");
