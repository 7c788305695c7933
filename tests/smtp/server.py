"""A mail server that asks for a login (ann, secret) and prints its port, then each mail it takes as one JSON object a line."""

import asyncio
import json

from aiosmtpd.smtp import SMTP, AuthResult


class Handler:
    async def handle_DATA(self, server, session, envelope):
        mail = {"from": envelope.mail_from, "to": envelope.rcpt_tos, "content": envelope.content.decode("ascii")}
        print(json.dumps(mail), flush=True)
        return "250 2.0.0 queued"


def authenticate(server, session, envelope, mechanism, data):
    # A refusal is left to the server to say.
    return AuthResult(success=(data.login, data.password) == (b"ann", b"secret"), handled=False)


async def main():
    def connection():
        return SMTP(Handler(), authenticator=authenticate, auth_required=True, auth_require_tls=False)

    server = await asyncio.get_running_loop().create_server(connection, "127.0.0.1", 0)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    await server.serve_forever()


asyncio.run(main())
