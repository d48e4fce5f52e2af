"""`computeResources` as clients send them, by their own tests, examples and documentation."""

from typing import Any

ROLE = "arn:aws:iam::123456789012:role/batch"
PROFILE = "arn:aws:iam::123456789012:instance-profile/ecsInstanceRole"
NETWORK: dict[str, Any] = {"subnets": ["subnet-0a1b2c3d"], "securityGroupIds": ["sg-0a1b2c3d"]}
MOTO: dict[str, Any] = {
    "type": "EC2",
    "minvCpus": 5,
    "maxvCpus": 10,
    "desiredvCpus": 5,
    "instanceTypes": ["t2.small", "t2.medium"],
    "imageId": "some_image_id",
    "ec2KeyPair": "string",
    "instanceRole": PROFILE,
    "tags": {"string": "string"},
    "bidPercentage": 123,
    "spotIamFleetRole": "string",
    **NETWORK,
}
EC2: dict[str, Any] = {
    "type": "EC2",
    "minvCpus": 0,
    "maxvCpus": 16,
    "instanceRole": PROFILE,
    "instanceTypes": ["optimal"],
    **NETWORK,
}
CDK: dict[str, Any] = {
    **EC2,
    "maxvCpus": 256,
    "allocationStrategy": "BEST_FIT_PROGRESSIVE",
    "ec2Configuration": [{"imageType": "ECS_AL2023"}],
}
MANAGED: dict[str, Any] = {
    "type": "ECS_MANAGED_INSTANCES",
    "maxvCpus": 256,
    "managedInstancesProvider": {
        "infrastructureRoleArn": ROLE,
        "instanceLaunchTemplate": {
            "ec2InstanceProfileArn": PROFILE,
            "networkConfiguration": {
                "subnets": NETWORK["subnets"],
                "securityGroups": NETWORK["securityGroupIds"],
            },
        },
    },
}
REQUESTS: dict[str, dict[str, Any]] = {
    "moto, types": MOTO,
    "moto, a family": MOTO | {"instanceTypes": ["t2"]},
    "moto, a short name of the profile": MOTO | {"instanceRole": "ecsInstanceRole"},
    "Terraform, EC2": EC2 | {"instanceTypes": ["c4.large"], "placementGroup": "sample"},
    "Terraform, what it leaves empty": EC2
    | {"ec2KeyPair": "", "imageId": "", "desiredvCpus": 0, "launchTemplate": None, "tags": {}},
    "Terraform, a launch template": EC2
    | {"desiredvCpus": 2, "launchTemplate": {"launchTemplateId": "lt-0a1b2c3d"}},
    "Terraform, Spot": EC2
    | {"type": "SPOT", "bidPercentage": 100, "spotIamFleetRole": ROLE, "minvCpus": 2},
    "Terraform, Fargate": {"type": "FARGATE", "maxvCpus": 16, **NETWORK},
    "CDK, EC2": CDK,
    "CDK, Spot": CDK
    | {"type": "SPOT", "allocationStrategy": "SPOT_PRICE_CAPACITY_OPTIMIZED", "bidPercentage": 75},
    "CDK, Graviton": CDK
    | {"instanceTypes": ["default_arm64"], "tags": {"Name": "batch"}, "placementGroup": "cluster"},
    "CDK, launch template": CDK
    | {"launchTemplate": {"launchTemplateId": "lt-0a1b2c3d", "version": "$Latest"}},
    "CloudFormation, GPUs": CDK
    | {
        "instanceTypes": ["p4d.24xlarge"],
        "ec2Configuration": [{"imageType": "ECS_AL2023_NVIDIA", "imageIdOverride": "ami-1"}],
    },
    "Metaflow, EC2": EC2
    | {
        "minvCpus": 8,
        "maxvCpus": 64,
        "desiredvCpus": 8,
        "instanceTypes": ["c4.large", "c4.xlarge", "c4.2xlarge", "c4.4xlarge", "c4.8xlarge"],
    },
    "Metaflow, Fargate": {"type": "FARGATE", "maxvCpus": 64, **NETWORK},
    "Nextflow, Spot": EC2
    | {
        "type": "SPOT",
        "allocationStrategy": "SPOT_CAPACITY_OPTIMIZED",
        "launchTemplate": {"launchTemplateName": "nextflow", "version": "$Default"},
        "scalingPolicy": {"minScaleDownDelayMinutes": 20},
    },
    "Nextflow, a prioritized list": EC2
    | {
        "type": "SPOT",
        "allocationStrategy": "SPOT_CAPACITY_OPTIMIZED_PRIORITIZED",
        "instanceTypes": ["m5", "c5"],
    },
    "Airflow, Fargate": {"type": "FARGATE", "maxvCpus": 10, **NETWORK},
    "AWS documentation, managed instances": MANAGED
    | {"minvCpus": 0, "capacityTags": {"Name": "batch"}},
}
