"""Calls of SES v2 by an unmodified SDK. Reads `{"retries": n, "calls": [{"operation": …, "arguments": …}]}` from standard
input and prints what came of each call as one JSON object a line."""

import base64
import json
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError


def main():
    asked = json.load(sys.stdin)
    client = boto3.client(
        "sesv2",
        endpoint_url=sys.argv[1],
        region_name="us-east-1",
        aws_access_key_id="local",
        aws_secret_access_key="local",
        config=Config(retries={"max_attempts": asked["retries"], "mode": "standard"}),
    )
    for call in asked["calls"]:
        arguments = call["arguments"]
        raw = arguments.get("Content", {}).get("Raw")
        if raw:
            raw["Data"] = base64.b64decode(raw["Data"])
        try:
            answer = getattr(client, call["operation"])(**arguments)
            metadata = answer.pop("ResponseMetadata")
            told = {"answer": answer, "attempts": metadata["RetryAttempts"] + 1}
        except ClientError as error:
            response = error.response
            told = {
                "error": response["Error"]["Code"],
                "message": response["Error"]["Message"],
                "status": response["ResponseMetadata"]["HTTPStatusCode"],
                "type": type(error).__name__,
                "attempts": response["ResponseMetadata"]["RetryAttempts"] + 1,
            }
        print(json.dumps(told), flush=True)


main()
