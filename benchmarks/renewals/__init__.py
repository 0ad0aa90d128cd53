"""How long it takes until ten thousand subscriptions that renew in the same minute have their credits."""
