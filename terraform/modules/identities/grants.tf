# Expands the table in roles.tf to one grant per identity, role and resource.

locals {
  # The resources that each value of `on` stands for, by project.
  resources = {
    for name, project in var.projects : name => {
      bucket          = [project.bucket]
      uploads         = project.uploads ? [project.bucket] : []
      source_buckets  = project.source_buckets
      staging         = project.staging[*]
      source_datasets = project.source_datasets
      database        = project.database[*]
      gcp_project     = [var.gcp_project]
      gcp_project_own = [var.gcp_project]
      worker          = ["${name}-worker"]
      images          = [var.repositories[0]]
    }
  }

  # The IAM members that each value of `who` stands for, by project. The keys name the members in resource addresses.
  who = {
    for name, project in var.projects : name => merge(
      { for step in local.steps : step => { "${name}-${step}" = local.members["${name}-${step}"] } },
      { for worker in ["worker"] : worker => project.dataflow ? { "${name}-worker" = local.members["${name}-worker"] } : {} },
      { platform = { platform = local.members["platform"] } },
      { analysts = { for group in project.analysts : group => "group:${group}" } },
    )
  }

  project_roles = flatten([
    for name, project in var.projects : [
      for row in local.roles : [
        for who, member in local.who[name][row.who] : [
          for on in local.resources[name][row.on] : {
            project = name, who = who, member = member, role = row.role, kind = row.on, on = on
          }
        ]
      ] if project.dataflow || !contains(local.of_dataflow, row.role)
    ]
  ])

  # A group may be the analysts of two projects. IAM stores a single binding, so create the grant once: with two
  # resources, destroying either would remove it for both.
  grants = {
    for grant in concat(local.project_roles, [for each in local.platform_roles : merge({ project = "" }, each)]) :
    "${grant.who} ${trimprefix(grant.role, "roles/")} ${grant.on}${grant.kind == "uploads" ? "/uploads" : ""}" => grant...
  }

  by_kind = {
    for resource, kinds in local.kinds : resource => {
      for key, grants in local.grants : key => grants[0] if contains(kinds, grants[0].kind)
    }
  }

  kinds = {
    buckets      = ["bucket", "uploads", "source_buckets"]
    datasets     = ["staging", "source_datasets"]
    projects     = ["database", "gcp_project", "gcp_project_own"]
    accounts     = ["worker"]
    repositories = ["images"]
  }
}

resource "google_storage_bucket_iam_member" "this" {
  for_each = local.by_kind.buckets

  bucket = each.value.on
  role   = each.value.role
  member = each.value.member

  dynamic "condition" {
    for_each = each.value.kind == "uploads" ? [each.value.project] : []

    content {
      title       = "uploads"
      description = "Only below uploads/ of the project."
      expression  = "resource.name.startsWith(\"projects/_/buckets/${each.value.on}/objects/${condition.value}/uploads/\")"
    }
  }
}

resource "google_bigquery_dataset_iam_member" "this" {
  for_each = local.by_kind.datasets

  project    = each.value.kind == "staging" ? var.gcp_project : regex("^(.+)[.]([^.]+)$", each.value.on)[0]
  dataset_id = each.value.kind == "staging" ? each.value.on : regex("^(.+)[.]([^.]+)$", each.value.on)[1]
  role       = each.value.role
  member     = each.value.member
}

resource "google_project_iam_member" "this" {
  for_each = local.by_kind.projects

  project = var.gcp_project
  role    = each.value.role
  member  = each.value.member

  dynamic "condition" {
    for_each = each.value.kind == "database" ? [each.value.on] : []

    content {
      title       = "database-${condition.value}"
      description = "Only the database of the project ${each.value.project}."
      expression  = "resource.name == \"projects/${var.gcp_project}/databases/${condition.value}\""
    }
  }

  dynamic "condition" {
    for_each = each.value.kind == "gcp_project_own" ? [var.projects[each.value.project].bucket] : []

    content {
      title       = "bucket-${each.value.project}"
      description = "Of Cloud Storage only the bucket of the project ${each.value.project}."
      expression = join(" || ", [
        "resource.service != \"storage.googleapis.com\"",
        "resource.name == \"projects/_/buckets/${condition.value}\"",
        "resource.name.startsWith(\"projects/_/buckets/${condition.value}/\")",
      ])
    }
  }
}

resource "google_service_account_iam_member" "this" {
  for_each = local.by_kind.accounts

  service_account_id = "projects/${var.gcp_project}/serviceAccounts/${local.emails[each.value.on]}"
  role               = each.value.role
  member             = each.value.member
}

resource "google_artifact_registry_repository_iam_member" "this" {
  for_each = local.by_kind.repositories

  project    = var.gcp_project
  location   = var.region
  repository = each.value.on
  role       = each.value.role
  member     = each.value.member
}
