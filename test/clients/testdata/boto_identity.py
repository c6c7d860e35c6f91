"""Calls every operation of identity and access with boto3. What goes wrong is an AssertionError or whatever boto3 raises.

The environment says where the server is. SERVED is a JSON object of the operations that must have been called, by service;
ISSUER and TOKEN are an OIDC issuer and a token of it, METADATA and ASSERTION a SAML provider's.
"""

import base64
import hashlib
import hmac
import json
import os
import struct
import time

import boto3
import botocore.exceptions

called = {}


def client(service, **options):
    c = boto3.client(service, **options)
    c.meta.events.register("before-call", lambda model, **_: called.setdefault(service, set()).add(model.name))
    return c


iam, sts, org, ecr = client("iam"), client("sts"), client("organizations"), client("ecr")
ACCOUNT = sts.get_caller_identity()["Account"]
PULL = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["ecr:BatchGetImage", "ecr:ListImages"], "Resource": "*"}]})
READ_ONLY = "arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryReadOnly"


def trust(**principal):
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}]})


def raises(code, call, **arguments):
    """Calls what must fail with the error code."""
    try:
        answer = call(**arguments)
    except botocore.exceptions.ClientError as e:
        assert e.response["Error"]["Code"] == code, e
        return
    raise AssertionError(f"{code} was not raised: {answer}")


def names(answer, lists, member):
    return [e[member] for e in answer[lists]]


def users():
    user = iam.create_user(UserName="ann", Path="/team/", Tags=[{"Key": "team", "Value": "pay"}])["User"]
    assert user["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/team/ann", user
    assert iam.get_user(UserName="ann")["User"]["Tags"] == [{"Key": "team", "Value": "pay"}]
    iam.create_user(UserName="bob")
    iam.update_user(UserName="bob", NewUserName="bert")
    assert sorted(u["UserName"] for page in iam.get_paginator("list_users").paginate(PaginationConfig={"PageSize": 1}) for u in page["Users"]) == ["ann", "bert"]
    iam.tag_user(UserName="ann", Tags=[{"Key": "stage", "Value": "test"}])
    iam.untag_user(UserName="ann", TagKeys=["team"])
    assert names(iam.list_user_tags(UserName="ann"), "Tags", "Key") == ["stage"]

    iam.create_group(GroupName="devs")
    iam.update_group(GroupName="devs", NewGroupName="developers")
    iam.add_user_to_group(GroupName="developers", UserName="ann")
    assert names(iam.get_group(GroupName="developers"), "Users", "UserName") == ["ann"]
    assert names(iam.list_groups_for_user(UserName="ann"), "Groups", "GroupName") == ["developers"]
    assert names(iam.list_groups(), "Groups", "GroupName") == ["developers"]

    key = iam.create_access_key(UserName="ann")["AccessKey"]
    iam.update_access_key(UserName="ann", AccessKeyId=key["AccessKeyId"], Status="Inactive")
    assert names(iam.list_access_keys(UserName="ann"), "AccessKeyMetadata", "Status") == ["Inactive"]
    assert iam.get_access_key_last_used(AccessKeyId=key["AccessKeyId"])["AccessKeyLastUsed"]["ServiceName"] == "N/A"
    iam.delete_access_key(UserName="ann", AccessKeyId=key["AccessKeyId"])


def passwords():
    iam.update_account_password_policy(MinimumPasswordLength=12, AllowUsersToChangePassword=True)
    assert iam.get_account_password_policy()["PasswordPolicy"]["MinimumPasswordLength"] == 12
    iam.create_login_profile(UserName="ann", Password="Example-Passw0rd")
    assert iam.get_login_profile(UserName="ann")["LoginProfile"]["UserName"] == "ann"
    iam.update_login_profile(UserName="ann", Password="Example-Passw1rd")
    key = iam.create_access_key(UserName="ann")["AccessKey"]
    ann = client("iam", aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"])
    ann.change_password(OldPassword="Example-Passw1rd", NewPassword="Example-Passw2rd")
    iam.delete_access_key(UserName="ann", AccessKeyId=key["AccessKeyId"])
    iam.delete_login_profile(UserName="ann")
    raises("NoSuchEntity", iam.get_login_profile, UserName="ann")
    iam.delete_account_password_policy()


def policies():
    policy = iam.create_policy(PolicyName="pull", PolicyDocument=PULL, Description="pulls")["Policy"]["Arn"]
    assert iam.get_policy(PolicyArn=policy)["Policy"]["Description"] == "pulls"
    version = iam.create_policy_version(PolicyArn=policy, PolicyDocument=PULL, SetAsDefault=True)["PolicyVersion"]["VersionId"]
    assert iam.get_policy_version(PolicyArn=policy, VersionId=version)["PolicyVersion"]["Document"] == json.loads(PULL)
    assert names(iam.list_policy_versions(PolicyArn=policy), "Versions", "VersionId") == ["v2", "v1"]
    iam.set_default_policy_version(PolicyArn=policy, VersionId="v1")
    iam.delete_policy_version(PolicyArn=policy, VersionId="v2")
    iam.tag_policy(PolicyArn=policy, Tags=[{"Key": "a", "Value": "b"}])
    assert names(iam.list_policy_tags(PolicyArn=policy), "Tags", "Key") == ["a"]
    iam.untag_policy(PolicyArn=policy, TagKeys=["a"])
    role = iam.create_role(RoleName="ci", AssumeRolePolicyDocument=trust(AWS=f"arn:aws:iam::{ACCOUNT}:user/team/ann"))["Role"]
    assert role["AssumeRolePolicyDocument"]["Statement"][0]["Principal"] == {"AWS": f"arn:aws:iam::{ACCOUNT}:user/team/ann"}, role
    for kind, owner in (("user", {"UserName": "ann"}), ("group", {"GroupName": "developers"}), ("role", {"RoleName": "ci"})):
        do = lambda operation, **arguments: getattr(iam, operation.format(kind))(**owner, **arguments)
        do("attach_{}_policy", PolicyArn=policy)
        assert names(do("list_attached_{}_policies"), "AttachedPolicies", "PolicyName") == ["pull"]
        do("put_{}_policy", PolicyName="inline", PolicyDocument=PULL)
        assert do("get_{}_policy", PolicyName="inline")["PolicyDocument"] == json.loads(PULL)
        assert do("list_{}_policies")["PolicyNames"] == ["inline"]
        do("delete_{}_policy", PolicyName="inline")
        if kind != "group":
            do("put_{}_permissions_boundary", PermissionsBoundary=policy)
            do("delete_{}_permissions_boundary")
    assert len(names(iam.list_entities_for_policy(PolicyArn=policy), "PolicyRoles", "RoleName")) == 1
    assert policy in names(iam.list_policies(Scope="Local"), "Policies", "Arn")
    roles(policy)
    reports(policy)
    iam.detach_user_policy(UserName="ann", PolicyArn=policy)
    iam.detach_group_policy(GroupName="developers", PolicyArn=policy)
    iam.detach_role_policy(RoleName="ci", PolicyArn=policy)
    iam.delete_policy(PolicyArn=policy)
    iam.delete_role(RoleName="ci")


def roles(policy):
    assert iam.get_role(RoleName="ci")["Role"]["RoleLastUsed"] == {}
    assert "ci" in names(iam.list_roles(), "Roles", "RoleName")
    iam.update_role(RoleName="ci", Description="a", MaxSessionDuration=7200)
    iam.update_role_description(RoleName="ci", Description="b")
    iam.update_assume_role_policy(RoleName="ci", PolicyDocument=trust(AWS=ACCOUNT))
    iam.tag_role(RoleName="ci", Tags=[{"Key": "a", "Value": "b"}])
    assert names(iam.list_role_tags(RoleName="ci"), "Tags", "Key") == ["a"]
    iam.untag_role(RoleName="ci", TagKeys=["a"])
    iam.create_service_linked_role(AWSServiceName="replication.ecr.amazonaws.com")
    task = iam.delete_service_linked_role(RoleName="AWSServiceRoleForECRReplication")["DeletionTaskId"]
    assert iam.get_service_linked_role_deletion_status(DeletionTaskId=task)["Status"] == "SUCCEEDED"


def reports(policy):
    iam.create_account_alias(AccountAlias="example-corp")
    assert iam.list_account_aliases()["AccountAliases"] == ["example-corp"]
    iam.delete_account_alias(AccountAlias="example-corp")
    assert iam.get_account_summary()["SummaryMap"]["Users"] == 2
    details = iam.get_account_authorization_details()
    assert names(details, "UserDetailList", "UserName") == ["bert", "ann"] or names(details, "UserDetailList", "UserName") == ["ann", "bert"], details
    while iam.generate_credential_report()["State"] != "COMPLETE":
        pass
    assert iam.get_credential_report()["Content"].startswith(b"user,arn,")
    ann = f"arn:aws:iam::{ACCOUNT}:user/team/ann"
    job = iam.generate_service_last_accessed_details(Arn=ann)["JobId"]
    assert "ecr" in names(iam.get_service_last_accessed_details(JobId=job), "ServicesLastAccessed", "ServiceNamespace")
    iam.get_service_last_accessed_details_with_entities(JobId=job, ServiceNamespace="ecr")
    iam.list_policies_granting_service_access(Arn=ann, ServiceNamespaces=["ecr"])
    result = iam.simulate_principal_policy(PolicySourceArn=ann, ActionNames=["ecr:ListImages", "ecr:PutImage"])
    assert names(result, "EvaluationResults", "EvalDecision") == ["allowed", "implicitDeny"], result
    result = iam.simulate_custom_policy(PolicyInputList=[PULL], ActionNames=["ecr:ListImages"])
    assert names(result, "EvaluationResults", "EvalDecision") == ["allowed"], result
    assert iam.get_context_keys_for_custom_policy(PolicyInputList=[PULL])["ContextKeyNames"] == []
    assert iam.get_context_keys_for_principal_policy(PolicySourceArn=ann)["ContextKeyNames"] == []


def empty():
    """Lists that have nothing to list, and things that there never are."""
    for operation, lists, arguments in (
        ("list_instance_profiles", "InstanceProfiles", {}), ("list_instance_profiles_for_role", "InstanceProfiles", {"RoleName": "empty"}),
        ("list_server_certificates", "ServerCertificateMetadataList", {}), ("list_signing_certificates", "Certificates", {}),
        ("list_ssh_public_keys", "SSHPublicKeys", {"UserName": "ann"}), ("list_service_specific_credentials", "ServiceSpecificCredentials", {"UserName": "ann"}),
    ):
        assert getattr(iam, operation)(**arguments)[lists] == [], operation
    iam.list_delegation_requests()
    raises("NoSuchEntity", iam.get_instance_profile, InstanceProfileName="none")
    raises("NoSuchEntity", iam.list_instance_profile_tags, InstanceProfileName="none")
    raises("NoSuchEntity", iam.get_server_certificate, ServerCertificateName="none")
    raises("NoSuchEntity", iam.list_server_certificate_tags, ServerCertificateName="none")
    raises("NoSuchEntity", iam.get_ssh_public_key, UserName="ann", SSHPublicKeyId="APKAEIBAERJR2EXAMPLE", Encoding="SSH")
    for call in (iam.list_organizations_features, iam.get_outbound_web_identity_federation_info):
        try:
            call()
        except botocore.exceptions.ClientError as e:
            assert e.response["ResponseMetadata"]["HTTPStatusCode"] < 500, e


def code(seed, steps):
    digest = hmac.new(base64.b32decode(seed), struct.pack(">Q", int(time.time()) // 30 + steps), hashlib.sha1).digest()
    at = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[at:at + 4])[0] & 0x7FFFFFFF) % 1000000:06}"


def factors():
    device = iam.create_virtual_mfa_device(VirtualMFADeviceName="phone")["VirtualMFADevice"]
    serial, seed = device["SerialNumber"], device["Base32StringSeed"]
    assert device["QRCodePNG"].startswith(b"\x89PNG"), device
    iam.enable_mfa_device(UserName="ann", SerialNumber=serial, AuthenticationCode1=code(seed, -1), AuthenticationCode2=code(seed, 0))
    assert names(iam.list_mfa_devices(UserName="ann"), "MFADevices", "SerialNumber") == [serial]
    assert iam.get_mfa_device(SerialNumber=serial, UserName="ann")["SerialNumber"] == serial
    assert names(iam.list_virtual_mfa_devices(AssignmentStatus="Assigned"), "VirtualMFADevices", "SerialNumber") == [serial]
    iam.resync_mfa_device(UserName="ann", SerialNumber=serial, AuthenticationCode1=code(seed, 2), AuthenticationCode2=code(seed, 3))
    iam.tag_mfa_device(SerialNumber=serial, Tags=[{"Key": "a", "Value": "b"}])
    assert names(iam.list_mfa_device_tags(SerialNumber=serial), "Tags", "Key") == ["a"]
    iam.untag_mfa_device(SerialNumber=serial, TagKeys=["a"])
    iam.deactivate_mfa_device(UserName="ann", SerialNumber=serial)
    iam.delete_virtual_mfa_device(SerialNumber=serial)


def federation():
    issuer, token, metadata, assertion = (os.environ[name] for name in ("ISSUER", "TOKEN", "METADATA", "ASSERTION"))
    oidc = iam.create_open_id_connect_provider(Url=issuer)["OpenIDConnectProviderArn"]
    iam.add_client_id_to_open_id_connect_provider(OpenIDConnectProviderArn=oidc, ClientID="coffer")
    iam.remove_client_id_from_open_id_connect_provider(OpenIDConnectProviderArn=oidc, ClientID="other")
    iam.update_open_id_connect_provider_thumbprint(OpenIDConnectProviderArn=oidc, ThumbprintList=["a" * 40])
    iam.tag_open_id_connect_provider(OpenIDConnectProviderArn=oidc, Tags=[{"Key": "a", "Value": "b"}])
    iam.untag_open_id_connect_provider(OpenIDConnectProviderArn=oidc, TagKeys=["a"])
    assert iam.list_open_id_connect_provider_tags(OpenIDConnectProviderArn=oidc)["Tags"] == []
    assert iam.get_open_id_connect_provider(OpenIDConnectProviderArn=oidc)["ClientIDList"] == ["coffer"]
    assert names(iam.list_open_id_connect_providers(), "OpenIDConnectProviderList", "Arn") == [oidc]
    saml = iam.create_saml_provider(Name="corp", SAMLMetadataDocument=metadata)["SAMLProviderArn"]
    iam.update_saml_provider(SAMLProviderArn=saml, SAMLMetadataDocument=metadata)
    iam.tag_saml_provider(SAMLProviderArn=saml, Tags=[{"Key": "a", "Value": "b"}])
    iam.untag_saml_provider(SAMLProviderArn=saml, TagKeys=["a"])
    assert iam.list_saml_provider_tags(SAMLProviderArn=saml)["Tags"] == []
    assert iam.get_saml_provider(SAMLProviderArn=saml)["SAMLMetadataDocument"] == metadata
    assert names(iam.list_saml_providers(), "SAMLProviderList", "Arn") == [saml]

    name = issuer.removeprefix("https://")
    statement = lambda provider, action, condition: {"Effect": "Allow", "Principal": {"Federated": provider}, "Action": action, "Condition": {"StringEquals": condition}}
    role = iam.create_role(RoleName="staff", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
        statement(oidc, "sts:AssumeRoleWithWebIdentity", {f"{name}:sub": "alice"}), statement(saml, "sts:AssumeRoleWithSAML", {"saml:sub": "alice"})]}))["Role"]["Arn"]
    answer = sts.assume_role_with_web_identity(RoleArn=role, RoleSessionName="web", WebIdentityToken=token)
    assert answer["SubjectFromWebIdentityToken"] == "alice" and answer["Provider"] == oidc, answer
    answer = sts.assume_role_with_saml(RoleArn=role, PrincipalArn=saml, SAMLAssertion=assertion)
    assert answer["Subject"] == "alice" and answer["AssumedRoleUser"]["Arn"].endswith(":assumed-role/staff/alice"), answer
    iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=oidc)
    iam.delete_saml_provider(SAMLProviderArn=saml)


def sessions():
    key = iam.create_access_key(UserName="ann")["AccessKey"]
    own = {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}
    ann = client("sts", **own)
    role = iam.create_role(RoleName="builder", AssumeRolePolicyDocument=trust(AWS=f"arn:aws:iam::{ACCOUNT}:user/team/ann"))["Role"]["Arn"]
    session = ann.assume_role(RoleArn=role, RoleSessionName="run1", DurationSeconds=900, Policy=PULL)["Credentials"]
    assert session["AccessKeyId"].startswith("ASIA"), session
    inside = client("ecr", aws_access_key_id=session["AccessKeyId"], aws_secret_access_key=session["SecretAccessKey"], aws_session_token=session["SessionToken"])
    raises("AccessDeniedException", inside.list_images, repositoryName="app")
    assert ann.get_session_token()["Credentials"]["AccessKeyId"].startswith("ASIA")
    iam.attach_user_policy(UserName="ann", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    user = ann.get_federation_token(Name="guest", Policy=PULL)["FederatedUser"]["Arn"]
    assert user == f"arn:aws:sts::{ACCOUNT}:federated-user/guest", user
    assert sts.get_access_key_info(AccessKeyId=key["AccessKeyId"])["Account"] == ACCOUNT
    encoded = []
    inside.meta.events.register("after-call", lambda http_response, **_: encoded.append(http_response.headers.get("x-amzn-authorization-message")))
    raises("AccessDeniedException", inside.list_images, repositoryName="app")
    if encoded[0]:
        assert json.loads(sts.decode_authorization_message(EncodedMessage=encoded[0])["DecodedMessage"])["allowed"] is False
    else:
        raises("InvalidAuthorizationMessageException", sts.decode_authorization_message, EncodedMessage="none")
    iam.detach_user_policy(UserName="ann", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    iam.delete_access_key(UserName="ann", AccessKeyId=key["AccessKeyId"])


def organization():
    root = org.list_roots()["Roots"][0]["Id"]
    assert org.describe_organization()["Organization"]["MasterAccountId"] == ACCOUNT
    request = org.create_account(AccountName="staging", Email="staging@example.com")["CreateAccountStatus"]
    account = request["AccountId"]
    assert org.describe_create_account_status(CreateAccountRequestId=request["Id"])["CreateAccountStatus"]["State"] == "SUCCEEDED"
    assert len(org.list_create_account_status()["CreateAccountStatuses"]) == 1
    assert sorted(names(org.list_accounts(), "Accounts", "Id")) == sorted([ACCOUNT, account])
    assert org.describe_account(AccountId=account)["Account"]["Name"] == "staging"
    unit = org.create_organizational_unit(ParentId=root, Name="prod")["OrganizationalUnit"]["Id"]
    org.update_organizational_unit(OrganizationalUnitId=unit, Name="test")
    assert org.describe_organizational_unit(OrganizationalUnitId=unit)["OrganizationalUnit"]["Name"] == "test"
    org.move_account(AccountId=account, SourceParentId=root, DestinationParentId=unit)
    assert names(org.list_parents(ChildId=account), "Parents", "Id") == [unit]
    assert names(org.list_children(ParentId=unit, ChildType="ACCOUNT"), "Children", "Id") == [account]
    assert names(org.list_accounts_for_parent(ParentId=unit), "Accounts", "Id") == [account]
    assert names(org.list_organizational_units_for_parent(ParentId=root), "OrganizationalUnits", "Id") == [unit]
    deny = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "ecr:Delete*", "Resource": "*"}]})
    policy = org.create_policy(Content=deny, Description="d", Name="n", Type="SERVICE_CONTROL_POLICY")["Policy"]["PolicySummary"]["Id"]
    org.update_policy(PolicyId=policy, Name="m")
    assert org.describe_policy(PolicyId=policy)["Policy"]["PolicySummary"]["Name"] == "m"
    org.attach_policy(PolicyId=policy, TargetId=unit)
    assert policy in names(org.list_policies_for_target(TargetId=unit, Filter="SERVICE_CONTROL_POLICY"), "Policies", "Id")
    assert policy in names(org.list_policies(Filter="SERVICE_CONTROL_POLICY"), "Policies", "Id")
    assert names(org.list_targets_for_policy(PolicyId=policy), "Targets", "TargetId") == [unit]
    org.detach_policy(PolicyId=policy, TargetId=unit)
    org.delete_policy(PolicyId=policy)
    org.enable_policy_type(RootId=root, PolicyType="RESOURCE_CONTROL_POLICY")
    org.disable_policy_type(RootId=root, PolicyType="RESOURCE_CONTROL_POLICY")
    org.tag_resource(ResourceId=account, Tags=[{"Key": "a", "Value": "b"}])
    assert names(org.list_tags_for_resource(ResourceId=account), "Tags", "Key") == ["a"]
    org.untag_resource(ResourceId=account, TagKeys=["a"])
    assert org.list_aws_service_access_for_organization()["EnabledServicePrincipals"] == []
    assert org.list_delegated_administrators()["DelegatedAdministrators"] == []
    org.move_account(AccountId=account, SourceParentId=unit, DestinationParentId=root)
    org.delete_organizational_unit(OrganizationalUnitId=unit)
    org.close_account(AccountId=account)


def registry():
    """What ECR has of policies and settings. boto.py works through the rest."""
    ecr.create_repository(repositoryName="app")
    text = json.dumps({"Version": "2012-10-17", "Statement": [{"Sid": "pull", "Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "ecr:BatchGetImage"}]})
    ecr.set_repository_policy(repositoryName="app", policyText=text)
    assert json.loads(ecr.get_repository_policy(repositoryName="app")["policyText"])["Statement"][0]["Sid"] == "pull"
    ecr.delete_repository_policy(repositoryName="app")
    raises("RepositoryPolicyNotFoundException", ecr.get_repository_policy, repositoryName="app")
    text = json.dumps({"Version": "2012-10-17", "Statement": [{"Sid": "r", "Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "ecr:ReplicateImage",
                                                               "Resource": f"arn:aws:ecr:us-east-1:{ACCOUNT}:repository/*"}]})
    ecr.put_registry_policy(policyText=text)
    assert json.loads(ecr.get_registry_policy()["policyText"])["Statement"][0]["Sid"] == "r"
    ecr.delete_registry_policy()
    raises("RegistryPolicyNotFoundException", ecr.get_registry_policy)
    ecr.put_account_setting(name="REGISTRY_POLICY_SCOPE", value="V1")
    assert ecr.get_account_setting(name="REGISTRY_POLICY_SCOPE")["value"] == "V1"


def farewell():
    iam.remove_user_from_group(GroupName="developers", UserName="ann")
    iam.delete_group(GroupName="developers")
    for user in ("ann", "bert"):
        iam.delete_user(UserName=user)


iam.create_role(RoleName="empty", AssumeRolePolicyDocument=trust(AWS=ACCOUNT))
for part in (users, passwords, policies, empty, factors, federation, sessions, organization, registry, farewell):
    part()
    print(part.__name__)
missing = {service: sorted(set(operations) - called[service]) for service, operations in json.loads(os.environ["SERVED"]).items()}
assert not any(missing.values()), f"not called: {missing}"
