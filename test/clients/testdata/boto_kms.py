"""Calls every operation of KMS with boto3. What goes wrong is an AssertionError or whatever boto3 raises.

The environment says where the server is. SERVED is a JSON list of the operations that must have been called.
"""

import datetime
import json
import os
import subprocess

import boto3
import botocore.exceptions

called = set()
kms = boto3.client("kms")
kms.meta.events.register("before-call", lambda model, **_: called.add(model.name))
ACCOUNT = boto3.client("sts").get_caller_identity()["Account"]
ROOT = f"arn:aws:iam::{ACCOUNT}:root"
iam = boto3.client("iam")


def raises(code, call, **arguments):
    """Calls what must fail with the error code, which is a class of the client where the model has it."""
    try:
        answer = call(**arguments)
    except botocore.exceptions.ClientError as e:
        assert e.response["Error"]["Code"] == code, e
        if not code.startswith(("Validation", "AccessDenied")):
            assert isinstance(e, getattr(kms.exceptions, code)), type(e)
        return e.response["Error"]["Message"]
    raise AssertionError(f"{code} was not raised: {answer}")


def new_key(**arguments):
    return kms.create_key(**arguments)["KeyMetadata"]


def keys():
    key = new_key(Description="first")
    assert key["Arn"] == f"arn:aws:kms:us-east-1:{ACCOUNT}:key/{key['KeyId']}", key
    assert key["Enabled"] and key["KeyState"] == "Enabled" and key["KeyManager"] == "CUSTOMER" and key["Origin"] == "AWS_KMS", key
    assert key["KeySpec"] == key["CustomerMasterKeySpec"] == "SYMMETRIC_DEFAULT" and key["EncryptionAlgorithms"] == ["SYMMETRIC_DEFAULT"], key
    assert abs(key["CreationDate"] - datetime.datetime.now(datetime.timezone.utc)) < datetime.timedelta(minutes=5), key
    assert kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"] == key
    kms.update_key_description(KeyId=key["KeyId"], Description="second")
    assert kms.describe_key(KeyId=key["Arn"])["KeyMetadata"]["Description"] == "second"
    for spec, usage in (("RSA_2048", "SIGN_VERIFY"), ("ECC_NIST_P256", "SIGN_VERIFY"), ("HMAC_256", "GENERATE_VERIFY_MAC")):
        other = new_key(KeySpec=spec, KeyUsage=usage)
        assert other.get("SigningAlgorithms") or other.get("MacAlgorithms"), other
    raises("ValidationException", kms.create_key, KeySpec="RSA_2048")
    raises("UnsupportedOperationException", kms.create_key, MultiRegion=True)
    listed = [k["KeyId"] for page in kms.get_paginator("list_keys").paginate(PaginationConfig={"PageSize": 1}) for k in page["Keys"]]
    assert key["KeyId"] in listed and len(listed) == len(set(listed)) == 4, listed
    raises("InvalidMarkerException", kms.list_keys, Marker="x")
    kms.disable_key(KeyId=key["KeyId"])
    kms.disable_key(KeyId=key["KeyId"])
    text = raises("DisabledException", kms.encrypt, KeyId=key["KeyId"], Plaintext=b"x")
    assert text == f"{key['Arn']} is disabled.", text
    kms.enable_key(KeyId=key["KeyId"])
    assert kms.get_key_last_usage(KeyId=key["KeyId"]).get("KeyLastUsage") is None
    kms.encrypt(KeyId=key["KeyId"], Plaintext=b"x")
    assert kms.get_key_last_usage(KeyId=key["KeyId"])["KeyLastUsage"]["Operation"] == "Encrypt"
    raises("NotFoundException", kms.describe_key, KeyId="alias/missing")
    raises("NotFoundException", kms.describe_key, KeyId="00000000-0000-4000-8000-000000000000")
    raises("InvalidArnException", kms.describe_key, KeyId="arn:aws:kms:us-east-1:1:key/x")


def aliases():
    one, two = new_key()["KeyId"], new_key()["KeyId"]
    kms.create_alias(AliasName="alias/app", TargetKeyId=one)
    raises("AlreadyExistsException", kms.create_alias, AliasName="alias/app", TargetKeyId=two)
    raises("ValidationException", kms.create_alias, AliasName="app", TargetKeyId=two)
    raises("ValidationException", kms.create_alias, AliasName="alias/a b", TargetKeyId=two)
    raises("ValidationException", kms.create_alias, AliasName="alias/other", TargetKeyId="alias/app")
    assert kms.describe_key(KeyId="alias/app")["KeyMetadata"]["KeyId"] == one
    kms.update_alias(AliasName="alias/app", TargetKeyId=two)
    assert kms.describe_key(KeyId=f"arn:aws:kms:us-east-1:{ACCOUNT}:alias/app")["KeyMetadata"]["KeyId"] == two
    kms.create_alias(AliasName="alias/more", TargetKeyId=two)
    listed = [a["AliasName"] for page in kms.get_paginator("list_aliases").paginate(PaginationConfig={"PageSize": 1}) for a in page["Aliases"]]
    assert listed == ["alias/app", "alias/more"], listed
    assert [a["TargetKeyId"] for a in kms.list_aliases(KeyId=two)["Aliases"]] == [two, two] and kms.list_aliases(KeyId=one)["Aliases"] == []
    kms.delete_alias(AliasName="alias/more")
    raises("NotFoundException", kms.delete_alias, AliasName="alias/more")


def encryption():
    key, other = new_key()["Arn"], new_key()["Arn"]
    context = {"purpose": "test"}
    blob = kms.encrypt(KeyId=key, Plaintext=b"attack at dawn", EncryptionContext=context)["CiphertextBlob"]
    opened = kms.decrypt(CiphertextBlob=blob, EncryptionContext=context)
    assert opened["Plaintext"] == b"attack at dawn" and opened["KeyId"] == key, opened
    assert kms.decrypt(CiphertextBlob=blob, EncryptionContext=context, KeyId=key)["Plaintext"] == b"attack at dawn"
    raises("InvalidCiphertextException", kms.decrypt, CiphertextBlob=blob)
    raises("InvalidCiphertextException", kms.decrypt, CiphertextBlob=blob[:-1] + bytes([blob[-1] ^ 1]), EncryptionContext=context)
    raises("InvalidCiphertextException", kms.decrypt, CiphertextBlob=b"x")
    raises("IncorrectKeyException", kms.decrypt, CiphertextBlob=blob, EncryptionContext=context, KeyId=other)
    again = kms.re_encrypt(CiphertextBlob=blob, SourceEncryptionContext=context, DestinationKeyId=other, DestinationEncryptionContext={"a": "b"})
    assert again["KeyId"] == other and again["SourceKeyId"] == key, again
    assert kms.decrypt(CiphertextBlob=again["CiphertextBlob"], EncryptionContext={"a": "b"})["Plaintext"] == b"attack at dawn"
    raises("DryRunOperationException", kms.encrypt, KeyId=key, Plaintext=b"x", DryRun=True)
    raises("DryRunOperationException", kms.decrypt, CiphertextBlob=blob, EncryptionContext=context, DryRun=True)
    raises("ValidationException", kms.encrypt, KeyId=key, Plaintext=b"x" * 4097)
    sign = new_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")
    text = raises("InvalidKeyUsageException", kms.encrypt, KeyId=sign["KeyId"], Plaintext=b"x")
    assert text == f"{sign['Arn']} key usage is SIGN_VERIFY which is not valid for Encrypt.", text
    rsa = new_key(KeySpec="RSA_2048", KeyUsage="ENCRYPT_DECRYPT")["KeyId"]
    blob = kms.encrypt(KeyId=rsa, Plaintext=b"dusk", EncryptionAlgorithm="RSAES_OAEP_SHA_256")["CiphertextBlob"]
    assert kms.decrypt(KeyId=rsa, CiphertextBlob=blob, EncryptionAlgorithm="RSAES_OAEP_SHA_256")["Plaintext"] == b"dusk"
    moved = kms.re_encrypt(CiphertextBlob=blob, SourceKeyId=rsa, SourceEncryptionAlgorithm="RSAES_OAEP_SHA_256", DestinationKeyId=key)["CiphertextBlob"]
    assert kms.decrypt(CiphertextBlob=moved)["Plaintext"] == b"dusk"
    raises("InvalidKeyUsageException", kms.encrypt, KeyId=rsa, Plaintext=b"x")
    assert len(kms.generate_random(NumberOfBytes=77)["Plaintext"]) == 77


def cipher(key, data, *more):
    """AES by openssl, as an application does with a data key."""
    return subprocess.run(["openssl", "enc", "-aes-256-ctr", "-K", key.hex(), "-iv", "00" * 16, *more], input=data, capture_output=True, check=True).stdout


def envelopes():
    key = new_key()["KeyId"]
    data = os.urandom(100_000)
    made = kms.generate_data_key(KeyId=key, KeySpec="AES_256", EncryptionContext={"file": "1"})
    assert len(made["Plaintext"]) == 32 and len(made["KeyMaterialId"]) == 64, made
    sealed = cipher(made["Plaintext"], data)
    assert sealed != data
    opened = kms.decrypt(CiphertextBlob=made["CiphertextBlob"], EncryptionContext={"file": "1"})["Plaintext"]
    assert cipher(opened, sealed, "-d") == data
    assert len(kms.generate_data_key(KeyId=key, NumberOfBytes=1000)["Plaintext"]) == 1000
    hidden = kms.generate_data_key_without_plaintext(KeyId=key, KeySpec="AES_128")
    assert "Plaintext" not in hidden and len(kms.decrypt(CiphertextBlob=hidden["CiphertextBlob"])["Plaintext"]) == 16
    raises("ValidationException", kms.generate_data_key, KeyId=key)
    raises("ValidationException", kms.generate_data_key, KeyId=key, KeySpec="AES_256", NumberOfBytes=32)


def grants():
    key = new_key()["KeyId"]
    iam.create_user(UserName="ann")
    made = iam.create_access_key(UserName="ann")["AccessKey"]
    ann = boto3.client("kms", aws_access_key_id=made["AccessKeyId"], aws_secret_access_key=made["SecretAccessKey"])
    blob = kms.encrypt(KeyId=key, Plaintext=b"x", EncryptionContext={"a": "b"})["CiphertextBlob"]
    raises("AccessDeniedException", ann.decrypt, CiphertextBlob=blob, EncryptionContext={"a": "b"})
    who = f"arn:aws:iam::{ACCOUNT}:user/ann"
    grant = kms.create_grant(KeyId=key, GranteePrincipal=who, RetiringPrincipal=who, Operations=["Decrypt", "DescribeKey"], Name="n",
                             Constraints={"EncryptionContextSubset": {"a": "b"}})
    again = kms.create_grant(KeyId=key, GranteePrincipal=who, RetiringPrincipal=who, Operations=["Decrypt", "DescribeKey"], Name="n",
                             Constraints={"EncryptionContextSubset": {"a": "b"}})
    assert grant["GrantId"] == again["GrantId"] and grant["GrantToken"] != again["GrantToken"]
    assert ann.decrypt(CiphertextBlob=blob, EncryptionContext={"a": "b"}, GrantTokens=[grant["GrantToken"]])["Plaintext"] == b"x"
    raises("InvalidGrantTokenException", ann.describe_key, KeyId=f"arn:aws:kms:us-east-1:{ACCOUNT}:key/{key}", GrantTokens=["x"])
    (listed,) = kms.list_grants(KeyId=key)["Grants"]
    assert listed["GranteePrincipal"] == who and listed["Operations"] == ["Decrypt", "DescribeKey"] and listed["IssuingAccount"] == ROOT, listed
    assert listed["Constraints"] == {"EncryptionContextSubset": {"a": "b"}} and listed["Name"] == "n", listed
    assert len(kms.list_retirable_grants(RetiringPrincipal=who)["Grants"]) == 1
    ann.retire_grant(GrantToken=grant["GrantToken"])
    raises("AccessDeniedException", ann.decrypt, CiphertextBlob=blob, EncryptionContext={"a": "b"})
    called.add("RetireGrant")
    for _ in range(5):
        last = kms.create_grant(KeyId=key, GranteePrincipal=ROOT, Operations=["Encrypt"])["GrantId"]
    assert len([g for page in kms.get_paginator("list_grants").paginate(KeyId=key, PaginationConfig={"PageSize": 2}) for g in page["Grants"]]) == 5
    kms.revoke_grant(KeyId=key, GrantId=last)
    raises("NotFoundException", kms.revoke_grant, KeyId=key, GrantId=last)
    raises("InvalidArnException", kms.create_grant, KeyId=key, GranteePrincipal="nobody", Operations=["Encrypt"])
    raises("ValidationException", kms.create_grant, KeyId=key, GranteePrincipal=ROOT, Operations=["Sign"])


def policies():
    key = new_key()["KeyId"]
    policy = json.loads(kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"])
    assert policy["Id"] == "key-default-1" and policy["Statement"][0]["Principal"] == {"AWS": ROOT}, policy
    assert kms.list_key_policies(KeyId=key)["PolicyNames"] == ["default"]
    policy["Statement"].append({"Sid": "more", "Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:user/ann"}, "Action": "kms:Decrypt", "Resource": "*"})
    kms.put_key_policy(KeyId=key, Policy=json.dumps(policy))
    assert json.loads(kms.get_key_policy(KeyId=key)["Policy"]) == policy
    policy["Statement"][1]["Principal"]["AWS"] = f"arn:aws:iam::{ACCOUNT}:user/nobody"
    raises("MalformedPolicyDocumentException", kms.put_key_policy, KeyId=key, Policy=json.dumps(policy))
    policy["Statement"] = [{"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:user/ann"}, "Action": "kms:*", "Resource": "*"}]
    raises("MalformedPolicyDocumentException", kms.put_key_policy, KeyId=key, Policy=json.dumps(policy))
    raises("MalformedPolicyDocumentException", kms.create_key, Policy=json.dumps(policy))
    mine = new_key(Policy=json.dumps(policy), BypassPolicyLockoutSafetyCheck=True)["KeyId"]
    raises("AccessDeniedException", kms.describe_key, KeyId=mine)


def tags():
    key = new_key(Tags=[{"TagKey": "a", "TagValue": "1"}])["KeyId"]
    kms.tag_resource(KeyId=key, Tags=[{"TagKey": "b", "TagValue": "2"}, {"TagKey": "c", "TagValue": "3"}])
    kms.untag_resource(KeyId=key, TagKeys=["b"])
    pages = kms.get_paginator("list_resource_tags").paginate(KeyId=key, PaginationConfig={"PageSize": 1})
    assert [t["TagKey"] for page in pages for t in page["Tags"]] == ["a", "c"]
    raises("TagException", kms.tag_resource, KeyId=key, Tags=[{"TagKey": "aws:x", "TagValue": ""}])


def unsupported():
    key = new_key()["KeyId"]
    raises("UnsupportedOperationException", kms.generate_data_key_pair, KeyId=key, KeyPairSpec="RSA_2048")
    raises("UnsupportedOperationException", kms.generate_data_key_pair_without_plaintext, KeyId=key, KeyPairSpec="RSA_2048")
    raises("UnsupportedOperationException", kms.derive_shared_secret, KeyId=key, KeyAgreementAlgorithm="ECDH", PublicKey=b"x")
    raises("UnsupportedOperationException", kms.replicate_key, KeyId=key, ReplicaRegion="eu-west-1")
    raises("UnsupportedOperationException", kms.update_primary_region, KeyId=key, PrimaryRegion="eu-west-1")


def deletion():
    key = new_key()
    raises("ValidationException", kms.schedule_key_deletion, KeyId=key["KeyId"], PendingWindowInDays=6)
    answer = kms.schedule_key_deletion(KeyId=key["KeyId"], PendingWindowInDays=7)
    assert answer["KeyId"] == key["Arn"] and answer["KeyState"] == "PendingDeletion" and answer["PendingWindowInDays"] == 7, answer
    assert answer["DeletionDate"] - datetime.datetime.now(datetime.timezone.utc) > datetime.timedelta(days=6), answer
    text = raises("KMSInvalidStateException", kms.encrypt, KeyId=key["KeyId"], Plaintext=b"x")
    assert text == f"{key['Arn']} is pending deletion.", text
    assert kms.cancel_key_deletion(KeyId=key["KeyId"])["KeyId"] == key["Arn"]
    assert kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]["KeyState"] == "Disabled"
    kms.enable_key(KeyId=key["KeyId"])
    raises("KMSInvalidStateException", kms.cancel_key_deletion, KeyId=key["KeyId"])


for part in (keys, aliases, encryption, envelopes, grants, policies, tags, unsupported, deletion):
    part()
    print(part.__name__)
missing = sorted(set(json.loads(os.environ["SERVED"])) - called)
assert not missing, f"not called: {missing}"
