"""ministack, the AWS emulator: installed in a virtual environment of target/, started on a free port, ended with everything
it started."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import boto3
from botocore.config import Config

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = ROOT / "tests/ministack/requirements.txt"
HOME = ROOT / "target/ministack-venv"
REGION = "eu-central-1"
# What the emulator takes for the account's owner; its functions sign with sessions of their own roles.
OWNER = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION}
# What the functions call; each is a variable of its own name, as in shared/host/src/aws.rs.
CALLED = ("DYNAMODB", "SQS", "SESV2", "SECRETS_MANAGER")


def say(line):
    """A line of progress."""
    print(line, flush=True)


def installed():
    """The Python that has the pinned ministack; sqs_conformance/ministack.rs keeps the same folder and marker."""
    python, marker, wanted = HOME / "bin/python", HOME / "installed.txt", REQUIREMENTS.read_text()
    if not marker.is_file() or marker.read_text() != wanted:
        say(f"   installing {REQUIREMENTS.relative_to(ROOT)}")
        subprocess.run([sys.executable, "-m", "venv", "--clear", HOME], check=True)
        quiet = ["--quiet", "--disable-pip-version-check"]
        subprocess.run([python, "-m", "pip", "install", *quiet, "--requirement", REQUIREMENTS], check=True)
        marker.write_text(wanted)
    return python


class Emulator:
    """A running ministack. Its log is at `log`; all it started ends with `stop`."""

    def __init__(self):
        python = installed()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.folder = Path(tempfile.mkdtemp(prefix="sluice-aws-"))
        self.log = self.folder / "ministack.log"
        # The functions' processes inherit these, so that the template needs no word about an emulator.
        endpoints = {f"AWS_ENDPOINT_URL_{service}": self.url for service in CALLED}
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "SLUICE_"))}
        environment = {
            **inherited,
            **OWNER,
            **endpoints,
            "GATEWAY_PORT": str(self.port),
            "BIND_HOST": "127.0.0.1",
            "MINISTACK_REGION": REGION,
            "AUTH": "true",  # every call is checked against the policies of the role that signs it
            "LAMBDA_EXECUTOR": "local",
            "TMPDIR": str(self.folder),
        }
        with self.log.open("w") as log:
            # A session of its own: the functions are its children and end with it.
            self.process = subprocess.Popen(
                [python, "-m", "ministack"],
                env=environment,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            within(60, "ministack answers", self.answers)
        except BaseException:
            self.stop()
            raise

    def answers(self):
        """Whether it serves requests; an end of the process is said at once."""
        if self.process.poll() is not None:
            raise SystemExit(f"ministack ended with {self.process.returncode}:\n{self.log.read_text()[-2000:]}")
        try:
            return self.get("/_ministack/ready")["status"] == "completed"
        except OSError:
            return False

    def client(self, service):
        """An AWS client of the account's owner."""
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=OWNER["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=OWNER["AWS_SECRET_ACCESS_KEY"],
            config=Config(retries={"max_attempts": 1}, connect_timeout=5, read_timeout=60),
        )

    def get(self, path):
        """One of the emulator's own pages, as JSON."""
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:
            return json.load(answer)

    def stop(self):
        """Ends it and the functions it runs, and removes its folder."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                pass
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def within(seconds, what, look, pause=0.2):
    """Looks until there is something, at most so many seconds; then says what did not come."""
    end = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(pause)
