"""The API's HTTP side: targets, bodies, answers, lists, watches, discovery and the certificate."""
