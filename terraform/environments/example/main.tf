locals {
  # The resource names of each Refeed project. Bucket names are unique in all of Google Cloud.
  projects = {
    for name, project in var.projects : name => {
      namespace = coalesce(project.namespace, "refeed-${name}")
      bucket    = "${var.gcp_project}-refeed-${name}"
      database  = "refeed-${name}"
      staging   = "refeed_${replace(name, "-", "_")}"
    }
  }
  with_dataflow = anytrue([for project in var.projects : project.dataflow])
}

module "network" {
  source     = "../../modules/network"
  depends_on = [google_project_service.this]

  gcp_project = var.gcp_project
  region      = var.region
  internet    = var.internet
  ranges      = { nodes = var.ranges.nodes, pods = var.ranges.pods, services = var.ranges.services }
}

module "cluster" {
  source     = "../../modules/cluster"
  depends_on = [google_project_service.this]

  gcp_project          = var.gcp_project
  region               = var.region
  network              = module.network.network
  subnetwork           = module.network.subnetwork
  secondary_ranges     = module.network.secondary_ranges
  closed_tag           = module.network.closed_tag
  node_service_account = module.identities.node
  authorized_networks  = var.authorized_networks
  auto_provisioning    = var.auto_provisioning
  security_group       = var.security_group
  deletion_protection  = var.deletion_protection
}

module "node_pools" {
  source = "../../modules/node-pools"

  gcp_project          = var.gcp_project
  region               = var.region
  cluster              = module.cluster.name
  closed_tag           = module.network.closed_tag
  node_service_account = module.identities.node
  classes              = var.classes
  auto_provisioning    = var.auto_provisioning != null
}

module "registry" {
  source     = "../../modules/registry"
  depends_on = [google_project_service.this]

  gcp_project = var.gcp_project
  region      = var.region
  mirrors     = var.mirrors
}

module "storage" {
  source     = "../../modules/storage"
  depends_on = [google_project_service.this]

  gcp_project = var.gcp_project
  location    = var.region
  projects    = { for name, project in local.projects : name => project.bucket }
}

module "bigquery" {
  source     = "../../modules/bigquery"
  depends_on = [google_project_service.this]

  gcp_project = var.gcp_project
  location    = coalesce(var.bigquery_location, var.region)
  projects    = { for name, project in local.projects : name => project.staging }
}

module "firestore" {
  source     = "../../modules/firestore"
  depends_on = [google_project_service.this]

  gcp_project       = var.gcp_project
  location          = coalesce(var.firestore_location, var.region)
  projects          = { for name, project in local.projects : name => project.database }
  indexes           = file("${path.module}/../../firestore.indexes.json")
  delete_protection = var.deletion_protection
}

module "dataflow" {
  source     = "../../modules/dataflow"
  count      = local.with_dataflow ? 1 : 0
  depends_on = [google_project_service.this]

  gcp_project  = var.gcp_project
  region       = var.region
  network      = module.network.network
  google_range = module.network.google_range
  range        = var.ranges.dataflow
}

module "identities" {
  source     = "../../modules/identities"
  depends_on = [google_project_service.this]

  gcp_project   = var.gcp_project
  region        = var.region
  workload_pool = module.cluster.workload_pool
  repositories  = module.registry.repositories
  image_pushers = var.image_pushers
  argo          = var.argo
  projects = {
    for name, project in var.projects : name => {
      namespace       = local.projects[name].namespace
      bucket          = module.storage.buckets[name]
      database        = module.firestore.databases[name]
      staging         = module.bigquery.staging[name]
      source_datasets = project.source_datasets
      source_buckets  = project.source_buckets
      analysts        = project.analysts
      uploads         = project.uploads
      dataflow        = project.dataflow
    }
  }
}

module "observability" {
  source     = "../../modules/observability"
  depends_on = [google_project_service.this]

  gcp_project    = var.gcp_project
  cluster        = module.cluster.name
  namespaces     = { for name, project in local.projects : name => project.namespace }
  argo_namespace = var.argo.namespace
  emails         = var.alert_emails
  budget         = var.budget
}
