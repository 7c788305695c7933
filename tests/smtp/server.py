"""A mail server that asks for a login (ann, secret) and prints its port, then each mail it takes as one JSON object a line."""

import json
import threading

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult


class Handler:
    async def handle_DATA(self, server, session, envelope):
        mail = {"from": envelope.mail_from, "to": envelope.rcpt_tos, "content": envelope.content.decode("ascii")}
        print(json.dumps(mail), flush=True)
        return "250 2.0.0 queued"


def authenticate(server, session, envelope, mechanism, data):
    return AuthResult(success=(data.login, data.password) == (b"ann", b"secret"))


controller = Controller(
    Handler(),
    hostname="127.0.0.1",
    port=0,
    authenticator=authenticate,
    auth_required=True,
    auth_require_tls=False,
)
controller.start()
print(json.dumps({"port": controller.server.sockets[0].getsockname()[1]}), flush=True)
threading.Event().wait()
