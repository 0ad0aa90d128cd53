"""
A streaming proxy for a language model: reserve an estimate, extend it as tokens flow, commit what was measured.

    uvicorn examples.llm_proxy:app --port 5005
    curl -N -X POST 'http://127.0.0.1:5005/chat?user=user_1&prompt=tell+me+more'

It needs CREDITGATE_URL and CREDITGATE_API_KEY.

The hold is for the estimate, and `async with` extends it for as long as tokens flow. Every STEP_TOKENS tokens a step
is committed (`final=False`), so that a proxy that dies in the middle has charged for what it delivered, and no more.
What goes beyond the estimate is taken from what is available; when there is nothing left, the stream ends there.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, StreamingResponse

from credits import AsyncCreditsClient
from credits.client import AsyncHold
from credits.errors import CreditsError, HoldEndedError, InsufficientCreditsError

ESTIMATED_TOKENS = 40
STEP_TOKENS = 10
TTL_S = 30.0


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """One client for the whole process."""
    async with AsyncCreditsClient() as client:
        app.state.credits = client
        yield


app = FastAPI(lifespan=lifespan)


async def model(prompt: str, tokens: int) -> AsyncIterator[str]:
    """The model behind the proxy: one token after the other."""
    for number in range(tokens):
        await asyncio.sleep(0.001)
        yield f"{prompt.split()[number % len(prompt.split())]} "


async def metered(hold: AsyncHold, tokens: AsyncIterator[str]) -> AsyncIterator[str]:
    """Pass tokens on, each step of them paid for before it is passed on, and the rest at the end."""
    async with hold:
        step: list[str] = []
        number = 0
        async for token in tokens:
            step.append(token)
            if len(step) == STEP_TOKENS:
                if not await paid(hold, len(step), f"step-{number}", final=False):
                    yield "[out of credits]"
                    return
                yield "".join(step)
                step, number = [], number + 1
        if await paid(hold, len(step), "final", final=True):
            yield "".join(step)


async def paid(hold: AsyncHold, tokens: int, step: str, *, final: bool) -> bool:
    """Pay for a step; False if the account cannot."""
    try:
        # The name of the step makes it safe to repeat; above the estimate it takes what is available.
        await hold.commit(tokens=tokens, step=step, final=final, overage="if_available")
    except (InsufficientCreditsError, HoldEndedError):
        return False
    return True


@app.post("/chat", response_model=None)
async def chat(request: Request, user: str, prompt: str, tokens: int = 25) -> StreamingResponse | JSONResponse:
    """Stream an answer. The user is whoever your app says, never the request as in this example."""
    try:
        hold = await request.app.state.credits.reserve(user, tokens=ESTIMATED_TOKENS, ttl_s=TTL_S)
    except InsufficientCreditsError as error:
        return JSONResponse({"code": error.code, "status": 402, "detail": str(error)}, 402)
    except CreditsError as error:
        return JSONResponse({"code": error.code, "status": 503, "detail": str(error)}, 503)
    return StreamingResponse(metered(hold, model(prompt, tokens)), media_type="text/plain")
