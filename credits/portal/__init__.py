"""The hosted page of an account's owner, and what the web components in an app's own pages talk to."""
