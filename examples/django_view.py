"""
A Django view that pays for itself, in one file: settings, view and URL.

    python -m examples.django_view runserver 5003 --noreload
    curl -X POST 'http://127.0.0.1:5003/images?user=user_1&prompt=a+cat'

It needs CREDITGATE_URL and CREDITGATE_API_KEY. In your project, take the decorator and the view.
"""

import functools
import sys
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.management import execute_from_command_line
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from credits import CreditsClient
from credits.errors import CreditsError, DependencyError, InsufficientCreditsError

if not settings.configured:
    settings.configure(ROOT_URLCONF=__name__, SECRET_KEY="an example", ALLOWED_HOSTS=["*"])  # noqa: S106

View = Callable[..., HttpResponseBase]


@functools.cache
def client() -> CreditsClient:
    """One client for the whole process."""
    return CreditsClient()


def spends_credits(**amounts: int) -> Callable[[View], View]:
    """Hold credits while a view runs; commit them after a 2xx, give them back otherwise."""

    def decorate(view: View) -> View:
        @functools.wraps(view)
        def paid(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            try:
                with client().reserve(signed_in_user(request), amounts) as hold:
                    response = view(request, *args, **kwargs)
                    if 200 <= response.status_code < 300:
                        hold.commit()
                    return response
            except CreditsError as error:
                return problem(error)

        return paid

    return decorate


def problem(error: CreditsError) -> JsonResponse:
    """402 with what is short and where to buy, 503 while credits cannot be asked for."""
    status = 402 if isinstance(error, InsufficientCreditsError) else 503 if isinstance(error, DependencyError) else 500
    body = {"type": f"about:blank#{error.code}", "code": error.code, "status": status, "detail": str(error)}
    if isinstance(error, InsufficientCreditsError):
        body["buy_url"] = error.buy_url
    return JsonResponse(body, status=status, content_type="application/problem+json")


def signed_in_user(request: HttpRequest) -> str:
    """Whoever is asking. Your app knows it from `request.user`; never take it from the request as this example does."""
    return request.GET.get("user", "nobody")


@csrf_exempt
@require_POST
@spends_credits(image_generation=1)
def make_image(request: HttpRequest) -> JsonResponse:
    """One image, one credit."""
    if not request.GET.get("prompt"):
        return JsonResponse({"error": "say what to draw"}, status=400)
    return JsonResponse({"image": f"an image of {request.GET['prompt']}"})


urlpatterns = [path("images", make_image)]

application = get_wsgi_application()

if __name__ == "__main__":
    execute_from_command_line(sys.argv)
