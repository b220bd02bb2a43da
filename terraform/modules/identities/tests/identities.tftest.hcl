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
    error_message = "An account for each step of each project, and no worker without Dataflow."
  }
  assert {
    condition = (
      google_service_account_iam_member.pod["demo-split"].member == "serviceAccount:my-project.svc.id.goog[refeed-demo/refeed-split]"
      && google_service_account_iam_member.pod["demo-split"].service_account_id == "projects/my-project/serviceAccounts/refeed-demo-split@my-project.iam.gserviceaccount.com"
      && google_service_account_iam_member.pod["platform-argo-server"].member == "serviceAccount:my-project.svc.id.goog[argo/argo-server]"
      && length(google_service_account_iam_member.pod) == 7
      && alltrue([for each in google_service_account_iam_member.pod : each.role == "roles/iam.workloadIdentityUser"])
    )
    error_message = "Pods act as their step's account, and nobody else does."
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
    error_message = "Each identity reaches its own project's bucket, and sources."
  }
  assert {
    condition = [for each in google_storage_bucket_iam_member.this : each.condition[0].expression if each.role == "roles/storage.objectCreator"] == [
      "resource.name.startsWith(\"projects/_/buckets/my-project-refeed-lab/objects/lab/uploads/\")"
    ]
    error_message = "Analysts add below uploads/ only."
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
    error_message = "Roles on the Google Cloud project."
  }
  assert {
    condition     = length([for each in google_project_iam_member.this : each if each.role == "roles/container.clusterViewer"]) == 1
    error_message = "A group of two projects has a role of the whole once: removing it twice would take it from both."
  }
  assert {
    condition = alltrue([
      for each in google_project_iam_member.this :
      startswith(each.role, "roles/datastore.")
      ? each.condition[0].expression == "resource.name == \"projects/my-project/databases/refeed-demo\""
      : each.role == "roles/dataflow.worker" ? strcontains(each.condition[0].expression, "my-project-refeed-demo") && startswith(each.condition[0].expression, "resource.service != ") : length(each.condition) == 0
    ])
    error_message = "Roles that would reach other projects' data have a condition."
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
    error_message = "Datasets."
  }
  assert {
    condition = [for each in google_service_account_iam_member.this : "${each.role} ${each.service_account_id} ${each.member}"] == [
      "roles/iam.serviceAccountUser projects/my-project/serviceAccounts/refeed-demo-worker@my-project.iam.gserviceaccount.com serviceAccount:refeed-demo-split@my-project.iam.gserviceaccount.com"
    ]
    error_message = "Only the split step starts workers."
  }
  assert {
    condition = toset([for each in google_artifact_registry_repository_iam_member.this : "${each.role} ${split("@", each.member)[0]} ${each.repository}"]) == toset([
      "roles/artifactregistry.reader serviceAccount:refeed-node refeed",
      "roles/artifactregistry.reader serviceAccount:refeed-node refeed-quay",
      "roles/artifactregistry.reader serviceAccount:refeed-demo-worker refeed",
    ])
    error_message = "Who pulls images."
  }
  assert {
    condition = alltrue([
      for role in concat(
        [for each in google_project_iam_member.this : each.role], [for each in google_storage_bucket_iam_member.this : each.role],
        [for each in google_bigquery_dataset_iam_member.this : each.role], [for each in google_service_account_iam_member.this : each.role],
      ) : !contains(["roles/owner", "roles/editor", "roles/viewer"], role) && !strcontains(lower(role), "admin")
    ])
    error_message = "No primitive role, no administrator."
  }
  assert {
    condition = (
      output.node == "refeed-node@my-project.iam.gserviceaccount.com"
      && output.platform == "refeed-platform@my-project.iam.gserviceaccount.com"
      && output.projects["demo"].worker == "refeed-demo-worker@my-project.iam.gserviceaccount.com"
      && output.projects["lab"].worker == null
    )
    error_message = "E-mails are known before anything is made."
  }
}

run "no_projects_but_pushers_and_another_argo" {
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
    error_message = "CI pushes images."
  }
  assert {
    condition     = google_service_account_iam_member.pod["platform-server"].member == "serviceAccount:my-project.svc.id.goog[workflows/server]"
    error_message = "Argo's own names."
  }
}

run "refuses_everybody_as_a_pusher" {
  command = plan
  variables { image_pushers = ["allUsers"] }
  expect_failures = [var.image_pushers]
}

run "refuses_a_long_name" {
  command = plan
  variables { projects = { sixteen-letters-x = { namespace = "x", bucket = "bucket" } } }
  expect_failures = [var.projects]
}

run "refuses_the_platforms_name" {
  command = plan
  variables { projects = { node = { namespace = "x", bucket = "bucket" } } }
  expect_failures = [var.projects]
}

run "refuses_a_namespace_for_two" {
  command = plan
  variables { projects = { a = { namespace = "x", bucket = "bucket-a" }, b = { namespace = "x", bucket = "bucket-b" } } }
  expect_failures = [var.projects]
}

run "refuses_argos_namespace" {
  command = plan
  variables { projects = { a = { namespace = "argo", bucket = "bucket-a" } } }
  expect_failures = [var.projects]
}

run "refuses_a_bucket_for_two" {
  command = plan
  variables { projects = { a = { namespace = "a", bucket = "bucket" }, b = { namespace = "b", bucket = "bucket" } } }
  expect_failures = [var.projects]
}

run "refuses_a_database_for_two" {
  command = plan
  variables { projects = { a = { namespace = "a", bucket = "bucket-a", database = "refeed" }, b = { namespace = "b", bucket = "bucket-b", database = "refeed" } } }
  expect_failures = [var.projects]
}

run "refuses_a_table_for_a_dataset" {
  command = plan
  variables { projects = { a = { namespace = "a", bucket = "bucket", source_datasets = ["sales"] } } }
  expect_failures = [var.projects]
}

run "refuses_a_uri_for_a_bucket" {
  command = plan
  variables { projects = { a = { namespace = "a", bucket = "bucket", source_buckets = ["gs://files"] } } }
  expect_failures = [var.projects]
}

run "refuses_a_member_for_a_group" {
  command = plan
  variables { projects = { a = { namespace = "a", bucket = "bucket", analysts = ["allAuthenticatedUsers"] } } }
  expect_failures = [var.projects]
}

run "refuses_another_pool" {
  command = plan
  variables { workload_pool = "my-project" }
  expect_failures = [var.workload_pool]
}

run "refuses_no_repositories" {
  command = plan
  variables { repositories = [] }
  expect_failures = [var.repositories]
}

run "refuses_a_long_prefix" {
  command = plan
  variables { name = "refeed-platform" }
  expect_failures = [var.name]
}
