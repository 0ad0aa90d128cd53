"""What `credits dev` prints when everything is up: addresses, a key, and the first three things to try."""

from pathlib import Path

from credits.config.settings import DATA_FOLDER, DEV_ENV_FILE


def banner(
    *, folder: Path, base_url: str, api_key: str, fakes: int | None, database: str, redis: str, command: str
) -> str:
    """
    The text; `command` is how this machine spells `credits`.

    The API key is meant to be copied; no other secret is in it.
    """
    shop = (
        f"http://127.0.0.1:{fakes}   (fake Stripe, Lemon Squeezy, Paddle)" if fakes else "at the providers of your keys"
    )
    return f"""
────────────────────────────────────────────────────────────────────────────────
 Creditgate is up (sandbox)                                    Ctrl-C stops it

   Webhooks    {base_url}/webhooks/stripe   (also lemonsqueezy, paddle, fake)
   API         {base_url}/v1
   Health      {base_url}/healthz   {base_url}/readyz   {base_url}/metrics
   API key     {api_key}
   Checkouts   {shop}
   Data        {folder.absolute() / DATA_FOLDER}
   Database    {database}
   Redis       {redis}

 Try it (another terminal, this folder):

   {command} simulate stripe checkout.session.completed \\
       --account user_1 --credit-type image_generation --amount 100
   {command} balance user_1
   {command} checkout user_1 image_generation 100      (open its address, click Pay)
   {command} portal-link user_1                        (a page for your customer)
   curl -H "Authorization: Bearer {api_key}" \\
       {base_url}/v1/accounts/user_1/balances

 Credit types and plans are in credits.toml, secrets in {DEV_ENV_FILE}.
 `{command} dev --reset` deletes the data and starts afresh.
────────────────────────────────────────────────────────────────────────────────

"""
