# The installation file for `refeed compile --installation`. It is the code's only source of information about the
# platform.

locals {
  image = { for name in concat(["split", "collect", "worker"], tolist(var.trainers)) : name => "${module.registry.prefix}/${name}:${var.image_tag}" }

  installed_trainers = {
    for name in var.trainers : name => merge({ image = local.image[name] }, try(var.trainer_rules[name], {}))
  }

  installed_projects = {
    for name, project in local.projects : name => merge(
      {
        namespace = project.namespace
        root      = "gs://${module.storage.buckets[name]}"
        store     = "firestore://${var.gcp_project}/${module.firestore.databases[name]}"
        staging   = "${var.gcp_project}.${module.bigquery.staging[name]}"
        billing   = var.gcp_project
        identities = {
          for step in ["split", "train", "collect"] : step => module.identities.projects[name][step]
        }
        analysts = var.projects[name].analysts
      },
      [
        for place in module.dataflow[*].place : {
          dataflow = merge(place, { service_account = module.identities.projects[name].worker })
        } if var.projects[name].dataflow
      ]...
    )
  }

  # Pull Argo's images through the mirror of quay.io, if there is one.
  installed_argo = merge(
    { account = module.identities.platform },
    { for registry, mirror in module.registry.mirrors : "images" => "${mirror}/argoproj" if registry == "quay.io" },
  )

  # Encode the classes one by one: yamlencode sorts keys, and the classes must be ordered by memory.
  installed_classes = join("", [
    for each in module.node_pools.classes : "  ${indent(2, trimspace(yamlencode({ (each.name) = each.class })))}\n"
  ])

  installation = join("", [
    "# Written by `terraform output -raw installation`. Do not edit: change the Terraform variables instead.\n",
    yamlencode({
      images   = { for name in ["split", "collect", "worker"] : name => local.image[name] }
      trainers = local.installed_trainers
    }),
    "\"classes\":\n${local.installed_classes}",
    yamlencode(merge(
      { steps = var.steps, projects = local.installed_projects, argo = local.installed_argo, notify = var.notify },
      { for key, prices in { prices = var.prices } : key => { for name, price in prices : name => price if price != null } if prices != null },
    )),
  ])
}
