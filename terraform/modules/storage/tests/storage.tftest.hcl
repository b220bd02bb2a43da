mock_provider "google" {}

variables {
  gcp_project = "my-project"
  location    = "europe-west1"
  projects    = { demo = "my-project-refeed-demo", lab = "my-project-refeed-lab" }
}

run "defaults" {
  command = plan

  assert {
    condition     = output.buckets == { demo = "my-project-refeed-demo", lab = "my-project-refeed-lab" }
    error_message = "Each project must have a bucket."
  }
  assert {
    condition = alltrue([
      for bucket in google_storage_bucket.root :
      bucket.uniform_bucket_level_access && bucket.public_access_prevention == "enforced"
      && bucket.versioning[0].enabled && !bucket.force_destroy
      && bucket.soft_delete_policy[0].retention_duration_seconds == 604800
    ])
    error_message = "Buckets must be private, with uniform access, versioning and soft delete, and without force_destroy."
  }
  assert {
    condition = [
      for rule in google_storage_bucket.root["demo"].lifecycle_rule :
      "${one(rule.action).type} ${jsonencode(one(rule.condition).matches_prefix)} ${coalesce(one(rule.condition).age, one(rule.condition).days_since_noncurrent_time, 0)}"
      ] == [
      "Delete [\"demo/datasets/work/\"] 7",
      "Delete [\"demo/cache/\",\"demo/datasets/work/\"] 1",
      "Delete null 30",
      "AbortIncompleteMultipartUpload null 7",
    ]
    error_message = "Lifecycle rules must expire work files and older versions only."
  }
  assert {
    condition = alltrue([
      for rule in google_storage_bucket.root["lab"].lifecycle_rule :
      one(rule.action).type == "Delete" ? one(rule.condition).with_state == "ARCHIVED" || one(rule.condition).matches_prefix != null : true
    ])
    error_message = "Live objects must be deleted only below a named prefix."
  }
  assert {
    condition = alltrue([
      for rule in google_storage_bucket.root["demo"].lifecycle_rule :
      one(rule.action).type == "Delete" ? one(rule.condition).with_state == "ARCHIVED" || try(!contains(one(rule.condition).matches_prefix, "demo/cache/"), true) : true
    ])
    error_message = "No rule may delete segments by age."
  }
  assert {
    condition     = length(google_storage_bucket.root["demo"].encryption) == 0
    error_message = "There must be no encryption key by default."
  }
}

run "encryption_key" {
  command = plan
  variables {
    soft_delete_days = 0
    encryption_key   = "projects/my-project/locations/europe-west1/keyRings/refeed/cryptoKeys/data"
  }

  assert {
    condition     = google_storage_bucket.root["demo"].encryption[0].default_kms_key_name == var.encryption_key
    error_message = "Buckets must use the encryption key."
  }
  assert {
    condition     = google_storage_bucket.root["demo"].soft_delete_policy[0].retention_duration_seconds == 0
    error_message = "Soft delete must be off."
  }
}

run "rejects_shared_bucket" {
  command = plan
  variables { projects = { demo = "my-bucket", lab = "my-bucket" } }
  expect_failures = [var.projects]
}

run "rejects_bucket_name_with_dots" {
  command = plan
  variables { projects = { demo = "refeed.example.com" } }
  expect_failures = [var.projects]
}

run "rejects_google_in_bucket_name" {
  command = plan
  variables { projects = { demo = "google-refeed" } }
  expect_failures = [var.projects]
}

run "rejects_short_retention" {
  command = plan
  variables {
    work_days        = 1
    noncurrent_days  = 0
    soft_delete_days = 3
  }
  expect_failures = [var.work_days, var.noncurrent_days, var.soft_delete_days]
}

run "rejects_zone" {
  command = plan
  variables { location = "europe-west1-b" }
  expect_failures = [var.location]
}

run "rejects_malformed_key" {
  command = plan
  variables { encryption_key = "data" }
  expect_failures = [var.encryption_key]
}
