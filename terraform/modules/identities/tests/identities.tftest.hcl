mock_provider "google" {}

variables {
  gcp_project   = "my-project"
  region        = "europe-west1"
  workload_pool = "my-project.svc.id.goog"
  repositories  = ["refeed", "refeed-quay"]
  projects = {
    demo = {
      namespace       = "refeed-demo"
      bucket          = "my-project-refeed-demo"
      database        = "refeed-demo"
      staging         = "refeed_demo"
      source_datasets = ["sales-project.orders"]
      source_buckets  = ["sales-files"]
      analysts        = ["analysts@example.com"]
    }
    lab = {
      namespace = "refeed-lab"
      bucket    = "my-project-refeed-lab"
      analysts  = ["analysts@example.com"]
      uploads   = true
      dataflow  = false
    }
  }
}

run "defaults" {
  command = plan

  assert {
    condition = toset([for account in google_service_account.this : account.account_id]) == toset([
      "refeed-node", "refeed-platform",
      "refeed-demo-split", "refeed-demo-train", "refeed-demo-collect", "refeed-demo-worker",
      "refeed-lab-split", "refeed-lab-train", "refeed-lab-collect",
    ])
    error_message = "Each project must have an account per step, and a worker account only with Dataflow."
  }
  assert {
    condition = (
      google_service_account_iam_member.pod["demo-split"].member == "serviceAccount:my-project.svc.id.goog[refeed-demo/refeed-split]"
      && google_service_account_iam_member.pod["demo-split"].service_account_id == "projects/my-project/serviceAccounts/refeed-demo-split@my-project.iam.gserviceaccount.com"
      && google_service_account_iam_member.pod["platform-argo-server"].member == "serviceAccount:my-project.svc.id.goog[argo/argo-server]"
      && length(google_service_account_iam_member.pod) == 7
      && alltrue([for each in google_service_account_iam_member.pod : each.role == "roles/iam.workloadIdentityUser"])
    )
    error_message = "Only the pods of a step may act as the step's account."
  }
  assert {
    condition = { for each in google_storage_bucket_iam_member.this : "${each.member} ${each.bucket}" => each.role... } == {
      "serviceAccount:refeed-demo-split@my-project.iam.gserviceaccount.com my-project-refeed-demo"   = ["roles/storage.objectUser"]
      "serviceAccount:refeed-demo-train@my-project.iam.gserviceaccount.com my-project-refeed-demo"   = ["roles/storage.objectUser"]
      "serviceAccount:refeed-demo-collect@my-project.iam.gserviceaccount.com my-project-refeed-demo" = ["roles/storage.objectUser"]
      "serviceAccount:refeed-demo-worker@my-project.iam.gserviceaccount.com my-project-refeed-demo"  = ["roles/storage.objectUser"]
      "serviceAccount:refeed-demo-split@my-project.iam.gserviceaccount.com sales-files"              = ["roles/storage.objectViewer"]
      "serviceAccount:refeed-demo-worker@my-project.iam.gserviceaccount.com sales-files"             = ["roles/storage.objectViewer"]
      "serviceAccount:refeed-platform@my-project.iam.gserviceaccount.com my-project-refeed-demo"     = ["roles/storage.objectViewer"]
      "group:analysts@example.com my-project-refeed-demo"                                            = ["roles/storage.objectViewer"]
      "serviceAccount:refeed-lab-split@my-project.iam.gserviceaccount.com my-project-refeed-lab"     = ["roles/storage.objectUser"]
      "serviceAccount:refeed-lab-train@my-project.iam.gserviceaccount.com my-project-refeed-lab"     = ["roles/storage.objectUser"]
      "serviceAccount:refeed-lab-collect@my-project.iam.gserviceaccount.com my-project-refeed-lab"   = ["roles/storage.objectUser"]
      "serviceAccount:refeed-platform@my-project.iam.gserviceaccount.com my-project-refeed-lab"      = ["roles/storage.objectViewer"]
      "group:analysts@example.com my-project-refeed-lab"                                             = ["roles/storage.objectCreator", "roles/storage.objectViewer"]
    }
    error_message = "Each identity must have access to its project's bucket and sources only."
  }
  assert {
    condition = [for each in google_storage_bucket_iam_member.this : each.condition[0].expression if each.role == "roles/storage.objectCreator"] == [
      "resource.name.startsWith(\"projects/_/buckets/my-project-refeed-lab/objects/lab/uploads/\")"
    ]
    error_message = "Analysts must be able to write to uploads/ only."
  }
  assert {
    condition = toset([for each in google_project_iam_member.this : "${each.role} ${split("@", each.member)[0]}"]) == toset([
      "roles/container.defaultNodeServiceAccount serviceAccount:refeed-node",
      "roles/bigquery.readSessionUser serviceAccount:refeed-demo-split", "roles/bigquery.jobUser serviceAccount:refeed-demo-split",
      "roles/dataflow.developer serviceAccount:refeed-demo-split", "roles/datastore.user serviceAccount:refeed-demo-split",
      "roles/dataflow.worker serviceAccount:refeed-demo-worker", "roles/bigquery.readSessionUser serviceAccount:refeed-demo-worker",
      "roles/datastore.user serviceAccount:refeed-demo-train",
      "roles/datastore.user serviceAccount:refeed-demo-collect", "roles/dataflow.developer serviceAccount:refeed-demo-collect",
      "roles/bigquery.readSessionUser serviceAccount:refeed-lab-split", "roles/bigquery.jobUser serviceAccount:refeed-lab-split",
      "roles/datastore.viewer group:analysts", "roles/container.clusterViewer group:analysts",
    ])
    error_message = "The identities must have exactly these roles on the Google Cloud project."
  }
  assert {
    condition     = length([for each in google_project_iam_member.this : each if each.role == "roles/container.clusterViewer"]) == 1
    error_message = "A group of two projects must get a project-wide role once: removing either of two would remove it for both."
  }
  assert {
    condition = alltrue([
      for each in google_project_iam_member.this :
      startswith(each.role, "roles/datastore.")
      ? each.condition[0].expression == "resource.name == \"projects/my-project/databases/refeed-demo\""
      : each.role == "roles/dataflow.worker" ? strcontains(each.condition[0].expression, "my-project-refeed-demo") && startswith(each.condition[0].expression, "resource.service != ") : length(each.condition) == 0
    ])
    error_message = "Roles that would reach other projects' data must have a condition."
  }
  assert {
    condition = {
      for each in google_bigquery_dataset_iam_member.this :
      "${split("@", each.member)[0]} ${each.project}.${each.dataset_id}" => each.role
      } == {
      "serviceAccount:refeed-demo-split sales-project.orders"    = "roles/bigquery.dataViewer"
      "serviceAccount:refeed-demo-worker sales-project.orders"   = "roles/bigquery.dataViewer"
      "serviceAccount:refeed-demo-split my-project.refeed_demo"  = "roles/bigquery.dataEditor"
      "serviceAccount:refeed-demo-worker my-project.refeed_demo" = "roles/bigquery.dataViewer"
    }
    error_message = "The identities must have exactly these roles on datasets."
  }
  assert {
    condition = [for each in google_service_account_iam_member.this : "${each.role} ${each.service_account_id} ${each.member}"] == [
      "roles/iam.serviceAccountUser projects/my-project/serviceAccounts/refeed-demo-worker@my-project.iam.gserviceaccount.com serviceAccount:refeed-demo-split@my-project.iam.gserviceaccount.com"
    ]
    error_message = "Only the split step may start workers."
  }
  assert {
    condition = toset([for each in google_artifact_registry_repository_iam_member.this : "${each.role} ${split("@", each.member)[0]} ${each.repository}"]) == toset([
      "roles/artifactregistry.reader serviceAccount:refeed-node refeed",
      "roles/artifactregistry.reader serviceAccount:refeed-node refeed-quay",
      "roles/artifactregistry.reader serviceAccount:refeed-demo-worker refeed",
    ])
    error_message = "Nodes and workers must be able to pull images."
  }
  assert {
    condition = alltrue([
      for role in concat(
        [for each in google_project_iam_member.this : each.role], [for each in google_storage_bucket_iam_member.this : each.role],
        [for each in google_bigquery_dataset_iam_member.this : each.role], [for each in google_service_account_iam_member.this : each.role],
      ) : !contains(["roles/owner", "roles/editor", "roles/viewer"], role) && !strcontains(lower(role), "admin")
    ])
    error_message = "No identity may have a primitive or administrator role."
  }
  assert {
    condition = (
      output.node == "refeed-node@my-project.iam.gserviceaccount.com"
      && output.platform == "refeed-platform@my-project.iam.gserviceaccount.com"
      && output.projects["demo"].worker == "refeed-demo-worker@my-project.iam.gserviceaccount.com"
      && output.projects["lab"].worker == null
    )
    error_message = "Emails must be known in the plan."
  }
}

run "pushers_and_other_argo_without_projects" {
  command = plan
  variables {
    projects      = {}
    image_pushers = ["group:ci@example.com"]
    argo          = { namespace = "workflows", service_accounts = ["server"] }
  }

  assert {
    condition = toset([for each in google_artifact_registry_repository_iam_member.this : "${each.role} ${each.member}"]) == toset([
      "roles/artifactregistry.reader serviceAccount:refeed-node@my-project.iam.gserviceaccount.com",
      "roles/artifactregistry.writer group:ci@example.com",
    ])
    error_message = "CI must be able to push images."
  }
  assert {
    condition     = google_service_account_iam_member.pod["platform-server"].member == "serviceAccount:my-project.svc.id.goog[workflows/server]"
    error_message = "The binding must use Argo's namespace and service accounts."
  }
}

run "rejects_public_pusher" {
  command = plan
  variables { image_pushers = ["allUsers"] }
  expect_failures = [var.image_pushers]
}

run "rejects_long_project_name" {
  command = plan
  variables { projects = { sixteen-letters-x = { namespace = "x", bucket = "bucket" } } }
  expect_failures = [var.projects]
}

run "rejects_reserved_project_name" {
  command = plan
  variables { projects = { node = { namespace = "x", bucket = "bucket" } } }
  expect_failures = [var.projects]
}

run "rejects_shared_namespace" {
  command = plan
  variables { projects = { a = { namespace = "x", bucket = "bucket-a" }, b = { namespace = "x", bucket = "bucket-b" } } }
  expect_failures = [var.projects]
}

run "rejects_argo_namespace" {
  command = plan
  variables { projects = { a = { namespace = "argo", bucket = "bucket-a" } } }
  expect_failures = [var.projects]
}

run "rejects_shared_bucket" {
  command = plan
  variables { projects = { a = { namespace = "a", bucket = "bucket" }, b = { namespace = "b", bucket = "bucket" } } }
  expect_failures = [var.projects]
}

run "rejects_shared_database" {
  command = plan
  variables { projects = { a = { namespace = "a", bucket = "bucket-a", database = "refeed" }, b = { namespace = "b", bucket = "bucket-b", database = "refeed" } } }
  expect_failures = [var.projects]
}

run "rejects_table_as_dataset" {
  command = plan
  variables { projects = { a = { namespace = "a", bucket = "bucket", source_datasets = ["sales"] } } }
  expect_failures = [var.projects]
}

run "rejects_uri_as_bucket" {
  command = plan
  variables { projects = { a = { namespace = "a", bucket = "bucket", source_buckets = ["gs://files"] } } }
  expect_failures = [var.projects]
}

run "rejects_member_as_group" {
  command = plan
  variables { projects = { a = { namespace = "a", bucket = "bucket", analysts = ["allAuthenticatedUsers"] } } }
  expect_failures = [var.projects]
}

run "rejects_other_workload_pool" {
  command = plan
  variables { workload_pool = "my-project" }
  expect_failures = [var.workload_pool]
}

run "rejects_empty_repositories" {
  command = plan
  variables { repositories = [] }
  expect_failures = [var.repositories]
}

run "rejects_long_prefix" {
  command = plan
  variables { name = "refeed-platform" }
  expect_failures = [var.name]
}
