"""
A FastAPI app: a dependency that holds credits while a route runs. Any ASGI framework does it the same way.

    uvicorn examples.fastapi_app:app --port 5002
    curl -X POST 'http://127.0.0.1:5002/images?user=user_1&prompt=a+cat'

It needs CREDITGATE_URL and CREDITGATE_API_KEY.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse

from credits import AsyncCreditsClient
from credits.client import AsyncHold
from credits.errors import CreditsError, DependencyError, InsufficientCreditsError


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """One client for the whole process."""
    async with AsyncCreditsClient() as client:
        app.state.credits = client
        yield


app = FastAPI(lifespan=lifespan)


@app.exception_handler(CreditsError)
async def answer_problem(_: Request, error: CreditsError) -> JSONResponse:
    """402 with what is short and where to buy, 503 while credits cannot be asked for."""
    status = 402 if isinstance(error, InsufficientCreditsError) else 503 if isinstance(error, DependencyError) else 500
    body = {"type": f"about:blank#{error.code}", "code": error.code, "status": status, "detail": str(error)}
    if isinstance(error, InsufficientCreditsError):
        body["buy_url"] = error.buy_url
    headers = {"Retry-After": "5"} if status == 503 else None
    return JSONResponse(body, status, headers=headers, media_type="application/problem+json")


def signed_in_user(user: str) -> str:
    """Whoever is asking. Your app knows it from a token; never take it from the request as this example does."""
    return user


def holding(**amounts: int) -> Callable[..., AsyncIterator[AsyncHold]]:
    """A dependency: credits held while the route runs, and given back unless the route commits."""

    async def hold(request: Request, user: Annotated[str, Depends(signed_in_user)]) -> AsyncIterator[AsyncHold]:
        async with request.app.state.credits.reserve(user, amounts) as held:
            yield held

    return hold


@app.post("/images")
async def make_image(prompt: str, hold: Annotated[AsyncHold, Depends(holding(image_generation=1))]) -> dict[str, str]:
    """One image, one credit: committed before the answer, so that nothing is given away unpaid."""
    if not prompt:
        raise HTTPException(400, "say what to draw")
    image = f"an image of {prompt}"
    await hold.commit()
    return {"image": image}
