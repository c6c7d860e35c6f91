"""Works through ECR with boto3. What goes wrong is an AssertionError or whatever boto3 raises.

The environment says where the server is, and IMAGE names a folder with the blobs of an image whose manifest is
MANIFEST (a digest).
"""

import hashlib
import json
import os
import time
import urllib.error
import urllib.request

import boto3
import botocore.exceptions

ecr = boto3.client("ecr")
sts = boto3.client("sts")
ACCOUNT = sts.get_caller_identity()["Account"]


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def blob(name):
    with open(os.path.join(os.environ["IMAGE"], "blobs", *name.split(":")), "rb") as f:
        return f.read()


def raises(exception, call, **arguments):
    """Calls what must raise the exception, and returns it."""
    try:
        answer = call(**arguments)
    except exception as e:
        return e
    raise AssertionError(f"{exception.__name__} was not raised: {answer}")


def message(error):
    return error.response["Error"]["Message"]


def get(url, method="GET", **headers):
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers, method=method)) as answer:
        return answer.status, answer.read()


def upload(name, data, part_size):
    """Uploads a layer by parts, and returns its digest."""
    started = ecr.initiate_layer_upload(repositoryName=name)
    for first in range(0, len(data), part_size):
        part = data[first : first + part_size]
        answer = ecr.upload_layer_part(
            repositoryName=name, uploadId=started["uploadId"], partFirstByte=first, partLastByte=first + len(part) - 1, layerPartBlob=part
        )
        assert answer["lastByteReceived"] == first + len(part) - 1, answer
    answer = ecr.complete_layer_upload(repositoryName=name, uploadId=started["uploadId"], layerDigests=[digest(data)])
    assert answer["layerDigest"] == digest(data) and answer["uploadId"] == started["uploadId"], answer
    return answer["layerDigest"]


def exceptions():
    name = "boto/errors"
    created = ecr.create_repository(repositoryName=name)["repository"]
    assert created["createdAt"].tzinfo is not None and created["registryId"] == ACCOUNT, created
    e = raises(ecr.exceptions.RepositoryAlreadyExistsException, ecr.create_repository, repositoryName=name)
    assert message(e) == f"The repository with name '{name}' already exists in the registry with id '{ACCOUNT}'", e
    assert e.response["ResponseMetadata"]["HTTPStatusCode"] == 400 and len(e.response["ResponseMetadata"]["RequestId"]) == 36, e.response
    raises(ecr.exceptions.RepositoryNotFoundException, ecr.list_images, repositoryName="boto/none")
    raises(ecr.exceptions.InvalidParameterException, ecr.create_repository, repositoryName="Boto")
    raises(ecr.exceptions.ImageNotFoundException, ecr.describe_images, repositoryName=name, imageIds=[{"imageTag": "none"}])
    raises(ecr.exceptions.InvalidTagParameterException, ecr.create_repository, repositoryName="boto/tags", tags=[{"Key": "aws:x", "Value": ""}])
    e = raises(ecr.exceptions.UploadNotFoundException, ecr.complete_layer_upload, repositoryName=name,
               uploadId="00000000-0000-0000-0000-000000000000", layerDigests=[digest(b"")])
    assert "could not be found" in message(e), e
    # A capability that is not there yet is a plain refusal at once, and no server error that clients try again.
    e = raises(botocore.exceptions.ClientError, ecr.describe_image_scan_findings, repositoryName=name, imageId={"imageTag": "none"})
    assert e.response["Error"]["Code"] == "UnknownOperationException" and e.response["ResponseMetadata"]["RetryAttempts"] == 0, e.response
    e = raises(botocore.exceptions.WaiterError, ecr.get_waiter("image_scan_complete").wait, repositoryName=name, imageId={"imageTag": "none"})
    assert "UnknownOperationException" in str(e), e


def layers():
    name = "boto/layers"
    ecr.create_repository(repositoryName=name)
    part_size = ecr.initiate_layer_upload(repositoryName=name)["partSize"]
    large = os.urandom(1 << 16) * (part_size // (1 << 16)) + b"and some more" * 100_000
    assert upload(name, large, part_size) == digest(large)
    raises(ecr.exceptions.LayerInaccessibleException, ecr.get_download_url_for_layer, repositoryName=name, layerDigest=digest(large))
    e = raises(ecr.exceptions.LayerAlreadyExistsException, upload, name=name, data=large, part_size=part_size)
    assert digest(large) in message(e), e

    started = ecr.initiate_layer_upload(repositoryName=name)["uploadId"]
    raises(ecr.exceptions.EmptyUploadException, ecr.complete_layer_upload, repositoryName=name, uploadId=started, layerDigests=[digest(b"")])
    part = bytes(5 << 20)
    ecr.upload_layer_part(repositoryName=name, uploadId=started, partFirstByte=0, partLastByte=len(part) - 1, layerPartBlob=part)
    e = raises(ecr.exceptions.InvalidLayerPartException, ecr.upload_layer_part, repositoryName=name, uploadId=started,
               partFirstByte=7, partLastByte=9, layerPartBlob=b"abc")
    assert e.response["lastValidByteReceived"] == len(part) - 1 and e.response["uploadId"] == started, e.response
    raises(ecr.exceptions.InvalidLayerException, ecr.complete_layer_upload, repositoryName=name, uploadId=started, layerDigests=[digest(b"")])

    config = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [digest(large)]}}).encode()
    upload(name, config, part_size)
    manifest = json.dumps({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest(config), "size": len(config)},
        "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest(large), "size": len(large)}],
    })
    image = ecr.put_image(repositoryName=name, imageManifest=manifest, imageTag="v1")["image"]
    assert image["imageId"] == {"imageDigest": digest(manifest.encode()), "imageTag": "v1"}, image
    available = ecr.batch_check_layer_availability(repositoryName=name, layerDigests=[digest(large), digest(b"none")])
    assert [(l["layerDigest"], l["layerAvailability"]) for l in available["layers"]] == [
        (digest(large), "AVAILABLE"), (digest(b"none"), "UNAVAILABLE")], available
    url = ecr.get_download_url_for_layer(repositoryName=name, layerDigest=digest(large))["downloadUrl"]
    assert get(url) == (200, large)
    assert get(url, Range="bytes=5000000-5999999") == (206, large[5000000:6000000])


def paginators():
    names = [f"pages/r{i:02}" for i in range(7)]
    for name in names:
        ecr.create_repository(repositoryName=name)
    pages = list(ecr.get_paginator("describe_repositories").paginate(PaginationConfig={"PageSize": 3}))
    found = [r["repositoryName"] for page in pages for r in page["repositories"]]
    assert all(len(page["repositories"]) <= 3 for page in pages) and len(pages) > 2, pages
    assert [n for n in found if n.startswith("pages/")] == names and len(set(found)) == len(found), found

    name, manifest = names[0], blob(os.environ["MANIFEST"])
    parsed = json.loads(manifest)
    for d in [parsed["config"], *parsed["layers"]]:
        upload(name, blob(d["digest"]), 10 << 20)
    for i in range(25):
        ecr.put_image(repositoryName=name, imageManifest=manifest.decode(), imageTag=f"t{i:02}")
    pages = list(ecr.get_paginator("list_images").paginate(repositoryName=name, PaginationConfig={"PageSize": 10}))
    ids = [i for page in pages for i in page["imageIds"]]
    assert [len(page["imageIds"]) for page in pages] == [10, 10, 5], pages
    assert {i["imageTag"] for i in ids} == {f"t{i:02}" for i in range(25)} and {i["imageDigest"] for i in ids} == {digest(manifest)}, ids
    details = list(ecr.get_paginator("describe_images").paginate(repositoryName=name, filter={"tagStatus": "TAGGED"}))
    assert len(details) == 1 and len(details[0]["imageDetails"][0]["imageTags"]) == 25, details
    assert ecr.describe_images(repositoryName=name, filter={"tagStatus": "UNTAGGED"})["imageDetails"] == []

    missing = ecr.batch_get_image(repositoryName=name, imageIds=[{"imageTag": "t00"}, {"imageTag": "none"}])
    assert missing["images"][0]["imageManifest"].encode() == manifest, missing
    assert missing["failures"] == [{"imageId": {"imageTag": "none"}, "failureCode": "ImageNotFound", "failureReason": "Requested image not found"}], missing


def referrers():
    name, subject = "pages/r00", blob(os.environ["MANIFEST"])
    empty = b"{}"
    upload(name, empty, 10 << 20)
    manifest = json.dumps({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "artifactType": "application/vnd.example.note",
        "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": digest(empty), "size": 2}, "layers": [],
        "subject": {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest(subject), "size": len(subject)},
    })
    ecr.put_image(repositoryName=name, imageManifest=manifest)
    found = ecr.list_image_referrers(repositoryName=name, subjectId={"imageDigest": digest(subject)})["referrers"]
    assert [(r["digest"], r["artifactType"], r["size"]) for r in found] == [
        (digest(manifest.encode()), "application/vnd.example.note", len(manifest))], found


def presigned():
    """An address that proves to others who its maker is, as clusters take it for a login."""
    for method in ["POST", "GET"]:
        url = sts.generate_presigned_url("get_caller_identity", ExpiresIn=60, HttpMethod=method)
        status, body = get(url, method)
        assert status == 200 and f"<Arn>arn:aws:iam::{ACCOUNT}:root</Arn>".encode() in body, (method, status, body)
    try:
        get(url.replace("X-Amz-Expires=60", "X-Amz-Expires=600"))
    except urllib.error.HTTPError as e:
        assert e.code == 403 and b"<Code>SignatureDoesNotMatch</Code>" in e.read(), e
    else:
        raise AssertionError("an altered address was accepted")


def sessions():
    """Other credentials and regions than those of the environment."""
    stranger = boto3.client("ecr", aws_access_key_id="AKIAI44QH8DHBEXAMPLE", aws_secret_access_key="je7MtGbClwBF/2Zp9Utk/h3yCo8nvbEXAMPLEKEY")
    e = raises(botocore.exceptions.ClientError, stranger.describe_repositories)
    assert e.response["Error"]["Code"] == "UnrecognizedClientException", e.response
    elsewhere = boto3.client("ecr", region_name="eu-central-1")
    assert elsewhere.describe_repositories()["repositories"] == []
    arn = elsewhere.create_repository(repositoryName="boto/there")["repository"]["repositoryArn"]
    assert arn == f"arn:aws:ecr:eu-central-1:{ACCOUNT}:repository/boto/there", arn
    raises(ecr.exceptions.RepositoryNotFoundException, ecr.describe_repositories, repositoryNames=["boto/there"])
    token = ecr.get_authorization_token()["authorizationData"][0]
    left = token["expiresAt"].timestamp() - time.time()
    assert 11.9 * 3600 < left <= 12 * 3600, left


for part in (exceptions, layers, paginators, referrers, presigned, sessions):
    part()
    print(part.__name__)
